"""Sets of micrographs and particles: optics of every RELION, images in batches, bad files named."""

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import FileFormatError, InputError
from boxwood.io.mrc import write_stack
from boxwood.io.particles import MicrographSet, ParticleSet, ctf_rows
from boxwood.io.star import read_star, write_star

RNG = np.random.default_rng(3)


def particles_30():
    """Two optics groups, hidden in the rows as RELION 3.0 has them."""
    return pd.DataFrame(
        {
            "rlnImageName": ["1@a.mrcs", "2@a.mrcs", "1@b.mrcs"],
            "rlnVoltage": [300.0, 200.0, 300.0],
            "rlnSphericalAberration": 2.7,
            "rlnAmplitudeContrast": 0.1,
            "rlnMagnification": [10000.0, 10000.0, 10000.0],
            "rlnDetectorPixelSize": 2.0,
            "rlnDefocusU": [1e4, 2e4, 3e4],
            "rlnDefocusV": [1.1e4, 2.1e4, 3.1e4],
            "rlnDefocusAngle": [0.0, 10.0, 20.0],
            "rlnOriginX": [1.0, -2.0, 0.5],
            "rlnOriginY": 0.0,
            "rlnMyOwn": ["x", "y", "z"],
        }
    )


def test_relion_30_rows_are_given_optics(tmp_path):
    write_star(tmp_path / "p.star", {"": particles_30()})
    particles = ParticleSet.read(tmp_path / "p.star")
    assert particles.optics.to_dict("list") == {
        "rlnOpticsGroup": [1, 2],
        "rlnOpticsGroupName": ["opticsGroup1", "opticsGroup2"],
        "rlnAmplitudeContrast": [0.1, 0.1],
        "rlnSphericalAberration": [2.7, 2.7],
        "rlnVoltage": [300, 200],
        "rlnImagePixelSize": [2, 2],
    }
    assert particles.table["rlnOpticsGroup"].tolist() == [1, 2, 1]
    assert particles.table["rlnOriginXAngst"].tolist() == [2, -4, 1]
    assert particles.table["rlnMyOwn"].tolist() == ["x", "y", "z"]
    assert not {"rlnVoltage", "rlnMagnification", "rlnOriginX"} & set(particles.table)


def test_relion_31_is_kept_as_it_is(tmp_path):
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["g"], "rlnVoltage": [300.0]})
    table = pd.DataFrame({"rlnImageName": ["1@a"], "rlnOpticsGroup": [1], "other": [5]})
    tables = {"optics": optics, "particles": table, "extra": {"a": 1}}
    write_star(tmp_path / "p.star", tables)
    ParticleSet.read(tmp_path / "p.star").write(tmp_path / "q.star")
    assert (tmp_path / "p.star").read_bytes() == (tmp_path / "q.star").read_bytes()
    ParticleSet.read(tmp_path / "p.star").write(tmp_path / "q.star", dialect="5")
    assert (tmp_path / "q.star").read_text().count("# version 50001") == 3


def test_ctf_rows_of_30_and_31_agree(tmp_path):
    write_star(tmp_path / "p.star", {"": particles_30()})
    rows = ctf_rows(ParticleSet.read(tmp_path / "p.star"))
    assert rows.shape == (3, 9)
    np.testing.assert_allclose(rows[1], [2e4, 2.1e4, 10, 0, 200, 2.7, 0.1, 0, 1])


def test_ctf_that_is_missing_or_no_number(tmp_path):
    table = particles_30()
    write_star(tmp_path / "p.star", {"": table.drop(columns=["rlnDefocusU", "rlnDefocusV"])})
    particles = ParticleSet.read(tmp_path / "p.star")
    assert not particles.has_ctf()
    with pytest.raises(InputError, match=r"p\.star has no _rlnDefocusU"):
        ctf_rows(particles)
    table.loc[1, "rlnDefocusV"] = np.nan
    write_star(tmp_path / "p.star", {"": table})
    particles = ParticleSet.read(tmp_path / "p.star")
    assert particles.has_ctf()
    with pytest.raises(InputError, match=r"in 1 rows, the first is 2 \(2@a\.mrcs\)"):
        ctf_rows(particles)
    write_star(tmp_path / "p.star", {"": table.drop(columns=["rlnDefocusV", "rlnDefocusAngle"])})
    np.testing.assert_allclose(ctf_rows(ParticleSet.read(tmp_path / "p.star"))[:, 1], [1e4, 2e4, 3e4])


def test_pixel_sizes(tmp_path):
    write_star(tmp_path / "p.star", {"": particles_30()})
    particles = ParticleSet.read(tmp_path / "p.star")
    np.testing.assert_allclose(particles.pixel_sizes(), 2.0)
    assert particles.select(np.array([2])).pixel_size_of_groups() == {1: 2.0}
    particles.optics = particles.optics.drop(columns="rlnImagePixelSize")
    with pytest.raises(InputError, match="has no _rlnImagePixelSize in its optics groups"):
        particles.pixel_sizes()
    for wrong in (np.nan, 0.0, -1.0):
        particles.optics["rlnImagePixelSize"] = [1.0, wrong]
        with pytest.raises(InputError, match="no positive number"):
            particles.pixel_sizes()


def test_angles_of_an_optics_group_may_be_negative():
    ctf = {
        "rlnDefocusU": 1e4,
        "rlnVoltage": 300.0,
        "rlnSphericalAberration": 2.7,
        "rlnAmplitudeContrast": 0.1,
    }
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnPhaseShift": -90.0, "rlnDefocusAngle": -30.0, **ctf})
    table = pd.DataFrame({"rlnImageName": ["1@a", "2@a"], "rlnOpticsGroup": 1})
    particles = ParticleSet(optics, table)
    np.testing.assert_array_equal(ctf_rows(particles)[:, 2:4], [[-30, -90]] * 2)
    particles.optics["rlnPhaseShift"] = np.nan
    with pytest.raises(InputError, match="_rlnPhaseShift in data_optics that is no number"):
        ctf_rows(particles)


def test_select_rows(tmp_path):
    write_star(tmp_path / "p.star", {"": particles_30()})
    particles = ParticleSet.read(tmp_path / "p.star")
    for rows in (np.array([False, True, True]), np.array([1, 2]), slice(1, 3), [1, 2]):
        chosen = particles.select(rows)
        assert chosen.table["rlnMyOwn"].tolist() == ["y", "z"]
        assert chosen.table.index.tolist() == [0, 1]
        assert len(chosen.optics) == 2


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"particles": pd.DataFrame({"rlnVoltage": [1.0]})}, "no table with a column _rlnImageName"),
        (
            {
                "optics": pd.DataFrame({"rlnOpticsGroup": [1, 1]}),
                "particles": pd.DataFrame({"rlnImageName": ["1@a"], "rlnOpticsGroup": [1]}),
            },
            "a group twice",
        ),
        (
            {
                "optics": pd.DataFrame({"rlnOpticsGroup": [1, 2]}),
                "particles": pd.DataFrame({"rlnImageName": ["1@a"], "rlnOpticsGroup": [3]}),
            },
            "rows of optics group 3, which data_optics lacks",
        ),
        (
            {
                "optics": pd.DataFrame({"rlnOpticsGroup": [1, 2]}),
                "particles": pd.DataFrame({"rlnImageName": ["1@a"]}),
            },
            "rows without _rlnOpticsGroup",
        ),
    ],
)
def test_sets_that_make_no_sense(tmp_path, tables, words):
    write_star(tmp_path / "p.star", tables)
    with pytest.raises(FileFormatError, match=words):
        ParticleSet.read(tmp_path / "p.star")


def test_micrographs_without_any_optics(tmp_path):
    (tmp_path / "m.star").write_text("data_\nloop_\n_rlnMicrographName\na.mrc\nb.mrc\n")
    micrographs = MicrographSet.read(tmp_path / "m.star")
    assert micrographs.table["rlnOpticsGroup"].tolist() == [1, 1]
    assert not micrographs.has_ctf()
    with pytest.raises(InputError, match="_rlnMicrographPixelSize"):
        micrographs.pixel_sizes()
    micrographs.write(tmp_path / "n.star")
    assert list(read_star(tmp_path / "n.star")) == ["optics", "micrographs"]


@pytest.fixture
def stacks(tmp_path):
    """Three stacks, and one name for every image in a random order."""
    names, images = [], []
    for name, count in (("a", 4), ("b", 7), ("c", 2)):
        stack = RNG.normal(size=(count, 8, 8)).astype(np.float32)
        write_stack(tmp_path / f"{name}.mrcs", stack, 1.0)
        names += [f"{number + 1:06d}@{name}.mrcs" for number in range(count)]
        images += list(stack)
    order = RNG.permutation(len(names))
    return tmp_path, [names[i] for i in order], np.stack([images[i] for i in order])


def particle_set(names):
    table = pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1})
    return ParticleSet(pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [1.0]}), table)


def test_images_come_in_the_order_asked_for(stacks):
    root, names, images = stacks
    reader = particle_set(names).images(root)
    assert reader.box == 8
    assert reader.usable.all()
    assert reader.bad == {}
    np.testing.assert_array_equal(reader.read(slice(None)), images)
    np.testing.assert_array_equal(reader.read(slice(3, 9)), images[3:9])
    rows = [12, 0, 0, 5]
    np.testing.assert_array_equal(reader.read(rows), images[rows])
    mask = RNG.random(len(images)) < 0.5
    np.testing.assert_array_equal(reader.read(mask), images[mask])
    assert reader.read([]).shape == (0, 8, 8)


def test_bad_files_are_named_and_the_others_read(stacks):
    root, names, images = stacks
    data = (root / "b.mrcs").read_bytes()
    (root / "b.mrcs").write_bytes(data[:-10])
    write_stack(root / "small.mrcs", np.zeros((1, 6, 6), np.float32), 1.0)
    write_stack(root / "oblong.mrcs", np.zeros((1, 6, 8), np.float32), 1.0)
    more = ["1@gone.mrcs", "5@a.mrcs", "1@small.mrcs", "x@a.mrcs", "0@a.mrcs", "1@oblong.mrcs"]
    reader = particle_set(names + more).images(root)
    good = np.array(["b.mrcs" not in name for name in names] + [False] * len(more))
    np.testing.assert_array_equal(reader.usable, good)
    np.testing.assert_array_equal(reader.read(good), images[good[: len(names)]])
    assert "truncated" in reader.bad["b.mrcs"]
    assert "gone.mrcs" in reader.bad["gone.mrcs"]
    assert "4 images" in reader.bad["5@a.mrcs"]
    assert {"x@a.mrcs", "0@a.mrcs"} <= set(reader.bad)
    assert "6 x 6" in reader.bad["small.mrcs"]
    assert "8 x 6" in reader.bad["oblong.mrcs"]
    assert len(reader.bad) == 7
    with pytest.raises(FileFormatError, match=r"the image 1@gone\.mrcs cannot be read"):
        reader.read([len(names)])


def test_nothing_usable(tmp_path):
    reader = particle_set(["1@gone.mrcs"]).images(tmp_path)
    assert not reader.usable.any()
    assert reader.box == 0


def test_root_is_found_from_the_star_file(stacks, monkeypatch):
    root, names, images = stacks
    (root / "Extract" / "job001").mkdir(parents=True)
    path = root / "Extract" / "job001" / "particles.star"
    particle_set(names).write(path)
    particles = ParticleSet.read(path)
    assert particles.root() == root
    np.testing.assert_array_equal(particles.images().read([1]), images[[1]])
    monkeypatch.chdir(root)
    assert ParticleSet.read(path).root().samefile(".")


def test_real_particles(shared_data):
    particles = ParticleSet.read(shared_data / "bgal10204" / "particles.star")
    reader = particles.images()
    assert (len(particles), reader.box, reader.usable.sum()) == (2374, 64, 2374)
    assert particles.pixel_size_of_groups() == {1: 3.54}
    batch = reader.read(slice(100, 400))
    # normalised: the background has deviation 1, the particle a little more
    assert 0.9 < batch.std() < 1.2
    assert np.isfinite(ctf_rows(particles)).all()
