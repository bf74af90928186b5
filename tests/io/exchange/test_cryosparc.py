"""cryoSPARC's datasets: arrays with its fields and types, and what may be wrong with them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError, InputError
from boxwood.io.exchange.cryosparc import read_dataset, write_dataset, write_result_group
from boxwood.io.exchange.cryosparc_particles import averages_of, contents_of, particles_of, picks_of
from boxwood.io.exchange.cryosparc_write import Exposure, exposures_of, particle_fields

LOCATION = [
    ("location/micrograph_uid", "<u8"),
    ("location/exp_group_id", "<u4"),
    ("location/micrograph_path", "S60"),
    ("location/micrograph_shape", "<u4", (2,)),
    ("location/center_x_frac", "<f4"),
    ("location/center_y_frac", "<f4"),
]
PARTICLE = [
    ("uid", "<u8"),
    ("blob/path", "S60"),
    ("blob/idx", "<u4"),
    ("blob/shape", "<u4", (2,)),
    ("blob/psize_A", "<f4"),
    ("blob/sign", "<f4"),
    ("ctf/exp_group_id", "<u4"),
    ("ctf/accel_kv", "<f4"),
    ("ctf/cs_mm", "<f4"),
    ("ctf/amp_contrast", "<f4"),
    ("ctf/df1_A", "<f4"),
    ("ctf/df2_A", "<f4"),
    ("ctf/df_angle_rad", "<f4"),
    ("ctf/phase_shift_rad", "<f4"),
    ("ctf/tilt_A", "<f4", (2,)),
    ("alignments2D/class", "<u4"),
    ("alignments2D/pose", "<f4"),
    ("alignments2D/shift", "<f4", (2,)),
    ("alignments2D/psize_A", "<f4"),
    ("alignments2D/class_posterior", "<f4"),
]
LARGE = 2**64 - 5  # beyond signed integers, and beyond what a float64 can tell


def particles():
    rows = np.zeros(3, PARTICLE)
    rows["uid"] = [LARGE, 3, 2**63 + 1]
    rows["blob/path"] = [b">J2/extract/a.mrc", b"J2/extract/b.mrc", b"J2/extract/a.mrc"]
    rows["blob/idx"] = [0, 4, 1]
    rows["blob/psize_A"] = 2.5
    rows["ctf/exp_group_id"] = [7, 7, 2]
    rows["ctf/accel_kv"], rows["ctf/cs_mm"], rows["ctf/amp_contrast"] = 300, 2.75, 0.125
    rows["ctf/df1_A"], rows["ctf/df2_A"], rows["ctf/df_angle_rad"] = 15000, 14000, np.pi / 4
    rows["ctf/phase_shift_rad"] = np.pi / 2
    rows["alignments2D/class"] = [0, 49, 1]
    rows["alignments2D/pose"] = [np.pi / 2, -np.pi / 4, 0]
    rows["alignments2D/shift"] = [[1, -2], [0, 0.5], [0, 0]]
    rows["alignments2D/psize_A"] = 5.0  # the classification reduced the images
    rows["alignments2D/class_posterior"] = 0.75
    return rows


def passthrough():
    """The same particles in another order."""
    rows = np.zeros(3, [("uid", "<u8"), *LOCATION])
    rows["uid"] = [2**63 + 1, LARGE, 3]
    rows["location/micrograph_path"] = [b"J1/imported/9_m.mrc", b"J1/imported/9_m.mrc", "J1/é n.mrc".encode()]
    rows["location/micrograph_shape"] = [200, 400]  # height, width
    rows["location/center_x_frac"] = [0.25, 0.75, 0.5]
    rows["location/center_y_frac"] = [0.25, 0.125, 0.5]
    return rows


@pytest.fixture
def files(tmp_path):
    for name, rows in (("particles.cs", particles()), ("J3_passthrough_particles.cs", passthrough())):
        with open(tmp_path / name, "wb") as file:
            np.save(file, rows)
    return tmp_path / "particles.cs", tmp_path / "J3_passthrough_particles.cs"


def test_rows_are_joined_by_their_numbers(files):
    dataset = read_dataset(files[0], files[1:])
    assert dataset.texts("location/micrograph_path")[0] == "J1/imported/9_m.mrc"
    assert dataset.numbers("location/center_x_frac").tolist() == [0.75, 0.5, 0.25]
    assert dataset.fields["uid"].tolist() == particles()["uid"].tolist()


def test_particles(files):
    foreign = particles_of(read_dataset(files[0], files[1:]))
    table, optics = foreign.particles.table, foreign.particles.optics
    assert table["rlnImageName"].tolist() == [
        "000001@J2/extract/a.mrc",
        "000005@J2/extract/b.mrc",
        "000002@J2/extract/a.mrc",
    ]
    # x counts along the width, which is the second of the shape.
    assert table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy().tolist() == [
        [300, 25],
        [200, 100],
        [100, 50],
    ]
    assert foreign.sizes == [(400, 200)] * 3
    assert table["rlnMicrographName"].tolist()[1] == "J1/é n.mrc"
    np.testing.assert_allclose(table["rlnAnglePsi"], [90, -45, 0], atol=1e-5)
    # Shifts count in the pixels of the alignment, not of the images.
    assert table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy().tolist() == [[5, -10], [0, 2.5], [0, 0]]
    assert table["rlnClassNumber"].tolist() == [1, 50, 2]
    np.testing.assert_allclose(table["rlnDefocusAngle"], 45)
    np.testing.assert_allclose(table["rlnPhaseShift"], 90)
    assert table["bwCryosparcUid"].tolist() == [str(LARGE), "3", str(2**63 + 1)]
    assert table["rlnOpticsGroup"].tolist() == [1, 1, 2]
    assert optics[["rlnVoltage", "rlnSphericalAberration", "rlnImagePixelSize"]].to_numpy().tolist() == [
        [300, 2.75, 2.5],
        [300, 2.75, 2.5],
    ]
    assert foreign.left_out == []


def test_picks_of_each_micrograph(files):
    first, second = picks_of(read_dataset(files[1]))
    assert first.micrograph == "J1/imported/9_m.mrc" and first.size == (400, 200)
    assert first.table.to_numpy().tolist() == [[100, 50], [300, 25]]
    assert second.table.to_numpy().tolist() == [[200, 100]]


def test_places_without_shapes_stay_fractions(tmp_path):
    rows = passthrough()[
        ["uid", "location/micrograph_path", "location/center_x_frac", "location/center_y_frac"]
    ]
    np.save(tmp_path / "p.npy", rows)
    assert picks_of(read_dataset(tmp_path / "p.npy"))[0].size == (1, 1)


def test_what_a_file_holds(files, tmp_path):
    assert contents_of(read_dataset(files[0])) == "particles"
    assert contents_of(read_dataset(files[1])) == "coordinates"
    np.save(tmp_path / "t.npy", particles()[["uid", "blob/path", "blob/idx", "blob/psize_A"]])
    templates = read_dataset(tmp_path / "t.npy")
    assert contents_of(templates) == "class-averages"
    names, numbers, pixel = averages_of(templates)
    assert (names[0], numbers, pixel) == ("J2/extract/a.mrc", [0, 4, 1], 2.5)
    np.save(tmp_path / "u.npy", particles()[["uid", "ctf/df1_A"]])
    with pytest.raises(InputError, match=r"give also --passthrough .*J3_passthrough_particles.cs"):
        contents_of(read_dataset(tmp_path / "u.npy"))


def test_aberrations_are_told(files, tmp_path):
    rows = particles()
    rows["ctf/tilt_A"][1] = 0.5
    np.save(tmp_path / "p.npy", rows)
    assert particles_of(read_dataset(tmp_path / "p.npy")).left_out == ["ctf/tilt_A"]


def test_a_passthrough_file_of_another_job(files, tmp_path):
    np.save(tmp_path / "other.npy", passthrough()[1:])
    with pytest.raises(InputError, match=r"1 of the 3 rows of .*particles.cs are not in .*other.npy"):
        read_dataset(files[0], [tmp_path / "other.npy"])
    np.save(tmp_path / "none.npy", passthrough()[:0])
    with pytest.raises(InputError, match="3 of the 3 rows"):
        read_dataset(files[0], [tmp_path / "none.npy"])


def array(descr, shape, data=b""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin as a NumPy array"),
        (b"\x95CSDAT\x00\x00", "compressed stream"),
        (b"\x93NUMPY", "is damaged"),
        (array("[('uid', '<u8')]", "(9999999999999,)"), "is damaged"),
        (array("[('uid', '<u8')]", "(-3,)"), "is damaged"),
        (array("__import__('os').system('true')", "(1,)"), "is damaged"),
        (array("[('uid', '|O')]", "(1,)", b"cos\nsystem\n(S'id'\ntR."), "is damaged"),
        (array("'<f8'", "(1,)", bytes(8)), "no table with a field uid"),
        (array("[('uid', '<f4')]", "(1,)", bytes(4)), "field uid is float32"),
        (array("[('uid', '<u8')]", "(2,)", bytes(16)), "uid 0 in several"),
    ],
)
def test_bad_files(tmp_path, data, words):
    (tmp_path / "p.cs").write_bytes(data)
    with pytest.raises(FileFormatError, match=words) as caught:
        read_dataset(tmp_path / "p.cs")
    assert "p.cs" in str(caught.value) and "\n" not in str(caught.value)


def test_a_truncated_file(files):
    files[0].write_bytes(files[0].read_bytes()[:-1])
    with pytest.raises(FileFormatError, match="is damaged"):
        read_dataset(files[0])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ctf/df1_A", np.nan, "field ctf/df1_A is nan in row 2"),
        ("blob/psize_A", np.inf, "field blob/psize_A is inf in row 2"),
        ("alignments2D/psize_A", 0, "is 0.0 in row 2, expected a positive number"),
        ("blob/path", b"\xff\xfe", "field blob/path is not UTF-8"),
    ],
)
def test_bad_values(tmp_path, field, value, words):
    rows = particles()
    rows[field][1] = value
    np.save(tmp_path / "p.npy", rows)
    with pytest.raises(FileFormatError, match=words):
        particles_of(read_dataset(tmp_path / "p.npy"))


def test_fields_of_other_types(tmp_path):
    rows = np.zeros(
        2, [("uid", "<u8"), ("blob/path", "<f4"), ("blob/idx", "S3"), ("blob/psize_A", "<f4", (2,))]
    )
    rows["uid"] = [1, 2]
    np.save(tmp_path / "p.npy", rows)
    dataset = read_dataset(tmp_path / "p.npy")
    with pytest.raises(FileFormatError, match=r"field blob/path is float32 of shape .*expected text"):
        dataset.texts("blob/path")
    for name in ("blob/idx", "blob/psize_A"):
        with pytest.raises(FileFormatError, match=f"field {name} is .*, expected numbers"):
            dataset.numbers(name)


@given(data=st.data(), n=st.integers(1, 6))
def test_particles_there_and_back(tmp_path_factory, data, n):
    """cryoSPARC's particles, as RELION's, are the same particles again."""
    numbers = st.floats(-1e4, 1e4, width=32)
    rows = np.zeros(n, [*PARTICLE, *LOCATION])
    rows["uid"] = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=n, max_size=n, unique=True))
    rows["blob/path"], rows["blob/idx"] = b"J2/extract/a.mrc", range(n)
    rows["blob/shape"], rows["blob/psize_A"] = 64, 1.5
    rows["location/micrograph_path"], rows["location/micrograph_shape"] = b"J1/m.mrc", [300, 500]
    rows["ctf/accel_kv"], rows["ctf/cs_mm"], rows["ctf/amp_contrast"] = 200, 1.4, 0.1
    rows["alignments2D/psize_A"] = 1.5
    for name in ("ctf/df1_A", "ctf/df2_A", "ctf/df_angle_rad", "alignments2D/pose"):
        rows[name] = [data.draw(numbers) for _ in range(n)]
    rows["alignments2D/shift"] = [[data.draw(numbers), data.draw(numbers)] for _ in range(n)]
    for axis in "xy":
        rows[f"location/center_{axis}_frac"] = [data.draw(st.floats(0, 1, width=32)) for _ in range(n)]
    rows["alignments2D/class"] = [data.draw(st.integers(0, 99)) for _ in range(n)]
    folder = tmp_path_factory.mktemp("cs")
    np.save(folder / "p.npy", rows)
    foreign = particles_of(read_dataset(folder / "p.npy"))
    table = foreign.particles.table
    fractions = table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy() / [500, 300]
    fields = particle_fields(
        foreign.particles,
        np.full(n, 64),
        {"J2/extract/a.mrc": "J2/extract/a.mrc"},
        {"J1/m.mrc": Exposure("J1/m.mrc", 500, 300, 0.75, 0, 0)},
        fractions,
    )
    write_dataset(folder / "back.cs", fields)
    back = np.load(folder / "back.cs", allow_pickle=False)
    # Angles go to degree and back, lengths to Angstrom and back: two roundings to float32 and float64 each.
    for name in rows.dtype.names:
        if name in (
            "blob/sign",
            "location/micrograph_uid",
            "location/exp_group_id",
            "ctf/exp_group_id",
            "alignments2D/class_posterior",
        ):
            continue  # fmt: skip
        if rows[name].dtype.kind == "f":
            np.testing.assert_allclose(back[name], rows[name], rtol=3e-7, atol=1e-37, err_msg=name)
        else:
            np.testing.assert_array_equal(back[name], rows[name], err_msg=name)


def test_exposures(tmp_path):
    rows = np.zeros(
        1,
        [("uid", "<u8"), ("micrograph_blob/path", "S30"), ("micrograph_blob/shape", "<u4", (2,)),
         ("micrograph_blob/psize_A", "<f4"), ("mscope_params/exp_group_id", "<u4")],
    )  # fmt: skip
    rows[0] = (LARGE, b"J1/motioncorrected/1_m.mrc", (300, 500), 0.75, 4)
    np.save(tmp_path / "e.npy", rows)
    (exposure,) = exposures_of(read_dataset(tmp_path / "e.npy"))
    assert exposure == Exposure("J1/motioncorrected/1_m.mrc", 500, 300, 0.75, LARGE, 4)


def test_result_groups(tmp_path):
    write_result_group(tmp_path / "picked.csg", "picked.cs", "particle", ["location", "blob"], 12)
    text = (tmp_path / "picked.csg").read_text()
    assert text.startswith("created: ") and text.endswith("\n")
    assert "group:\n  description: picked\n  name: picked\n  title: picked\n  type: particle\n" in text
    assert (
        "results:\n  blob:\n    metafile: '>picked.cs'\n    num_items: 12\n    type: particle.blob\n"
        "  location:\n    metafile: '>picked.cs'\n    num_items: 12\n    type: particle.location\n" in text
    )


def test_cryosparc_tools_read_what_is_written(tmp_path):
    tools = pytest.importorskip("cryosparc.dataset", reason="cryosparc-tools are not installed")
    fields = {
        "uid": np.array([LARGE], "<u8"),
        "blob/path": np.array([">é.mrc"]),
        "blob/shape": np.ones((1, 2), "<u4"),
    }
    write_dataset(tmp_path / "p.cs", fields)
    dataset = tools.Dataset.load(tmp_path / "p.cs")
    assert dataset["uid"].tolist() == [LARGE] and dataset["blob/path"].tolist() == [">é.mrc"]
    written = tools.Dataset({"uid": [1, 2], "blob/path": ["a", "b"]})
    written.save(tmp_path / "theirs.cs")
    assert read_dataset(tmp_path / "theirs.cs").texts("blob/path") == ["a", "b"]
    written.save(tmp_path / "stream.cs", format=tools.CSDAT_FORMAT)
    with pytest.raises(FileFormatError, match="compressed stream"):
        read_dataset(tmp_path / "stream.cs")


def test_a_table_in_a_star_file_keeps_the_numbers(tmp_path, files):
    """64 bits are more than a float has."""
    from boxwood.io.particles import ParticleSet

    found = particles_of(read_dataset(files[0])).particles
    found.write(tmp_path / "p.star")
    pd.testing.assert_series_equal(
        ParticleSet.read(tmp_path / "p.star").table["bwCryosparcUid"], found.table["bwCryosparcUid"]
    )
