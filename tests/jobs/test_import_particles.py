"""Particles of other programs: averages of images that are aligned by what was imported are sharp.

Images are made from a class average as each program's documentation says, with SciPy and not with our own
transforms; they are averaged as RELION defines psi and origins, in NumPy. A wrong sign blurs the average.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from boxwood.errors import InputError
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project

BOX, PIXEL, N = 48, 2.5, 40
ORIGIN = BOX // 2


def reference():
    """A class average without any symmetry: an L of three unequal spots and a bar."""
    y, x = np.indices((BOX, BOX)) - ORIGIN
    spots = [(8, 3, 3, 1.0), (-7, 6, 2, 0.8), (-3, -9, 2.5, 1.2), (0, 0, 4, 0.5)]
    return sum(h * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) for a, b, s, h in spots)


def rotated(image, degrees):
    """SciPy's rotation, about the origin pixel: what was at polar angle φ comes to φ - degrees."""
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])  # rows, columns
    offset = ORIGIN - matrix @ [ORIGIN, ORIGIN]
    return ndimage.affine_transform(image, matrix, offset, order=3)


def test_the_fixtures_rotation_is_scipys():
    image = reference()
    theirs = ndimage.rotate(np.pad(image, ((0, 1), (0, 1))), 30, reshape=False, order=3)[:BOX, :BOX]
    np.testing.assert_allclose(rotated(image, 30), theirs, atol=1e-5)  # their image has a margin
    spot = np.zeros((BOX, BOX))
    spot[ORIGIN, ORIGIN + 10] = 1  # on the axis of x
    assert np.unravel_index(rotated(spot, 90).argmax(), spot.shape) == (ORIGIN - 10, ORIGIN)


def average(images, table, sign=(1, 1)):
    """Mean of images as RELION aligns them: where the reference has q, the image has R(psi)^-1 q - origin."""
    y, x = np.indices((BOX, BOX)) - ORIGIN
    total = np.zeros((BOX, BOX))
    for image, (psi, ox, oy) in zip(images, table, strict=True):
        angle = sign[0] * np.radians(psi)
        px = np.cos(angle) * x + np.sin(angle) * y - sign[1] * ox
        py = -np.sin(angle) * x + np.cos(angle) * y - sign[1] * oy
        total += ndimage.map_coordinates(image, [py + ORIGIN, px + ORIGIN], order=3)
    return total / len(images)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def cryosparc_images(rng):
    """A class average, turned by +pose in SciPy's sense and moved by minus the shift, as cryoSPARC's are."""
    pose, shift = rng.uniform(-np.pi, np.pi, N), rng.uniform(-4, 4, (N, 2))
    images = [
        ndimage.shift(rotated(reference(), np.degrees(p)), (-dy, -dx), order=3)
        for p, (dx, dy) in zip(pose, shift, strict=True)
    ]
    return pose, shift, np.array(images) + 0.2 * rng.standard_normal((N, BOX, BOX))


def write_cryosparc(folder, images, pose, shift, psize=PIXEL, sign=1, **fields):
    """A cryoSPARC project: J2 extracted, J3 classified; the micrographs are in its passthrough file."""
    (folder / "J2/extract").mkdir(parents=True)
    (folder / "J3").mkdir()
    write_stack(folder / "J2/extract/0123_a_particles.mrc", sign * images[: N // 2], PIXEL)
    write_stack(folder / "J2/extract/0123_b_particles.mrc", sign * images[N // 2 :], PIXEL)
    rows = np.zeros(
        N,
        [("uid", "<u8"), ("blob/path", "S60"), ("blob/idx", "<u4"), ("blob/shape", "<u4", (2,)),
         ("blob/psize_A", "<f4"), ("ctf/accel_kv", "<f4"), ("ctf/cs_mm", "<f4"), ("ctf/amp_contrast", "<f4"),
         ("ctf/df1_A", "<f4"), ("ctf/df2_A", "<f4"), ("ctf/df_angle_rad", "<f4"),
         ("alignments2D/class", "<u4"), ("alignments2D/pose", "<f4"), ("alignments2D/shift", "<f4", (2,)),
         ("alignments2D/psize_A", "<f4")],
    )  # fmt: skip
    rows["uid"] = np.arange(N, dtype=np.uint64) + np.uint64(2**63)
    rows["blob/path"] = [b"J2/extract/0123_a_particles.mrc"] * (N // 2) + [
        b"J2/extract/0123_b_particles.mrc"
    ] * (N // 2)
    rows["blob/idx"] = [*range(N // 2), *range(N // 2)]
    rows["blob/shape"], rows["blob/psize_A"] = BOX, PIXEL
    rows["ctf/accel_kv"], rows["ctf/cs_mm"], rows["ctf/amp_contrast"] = 300, 2.7, 0.1
    rows["ctf/df1_A"], rows["ctf/df2_A"], rows["ctf/df_angle_rad"] = 15000, 14000, 0.5
    rows["alignments2D/pose"], rows["alignments2D/shift"] = pose, shift * PIXEL / psize
    rows["alignments2D/psize_A"] = psize
    passthrough = np.zeros(
        N,
        [("uid", "<u8"), ("location/micrograph_path", "S60"), ("location/micrograph_shape", "<u4", (2,)),
         ("location/center_x_frac", "<f4"), ("location/center_y_frac", "<f4")],
    )  # fmt: skip
    passthrough["uid"] = rows["uid"]
    passthrough["location/micrograph_path"] = b"J1/imported/009914178543224165632_mic 1.mrc"
    passthrough["location/micrograph_shape"] = [300, 500]
    passthrough["location/center_x_frac"] = np.linspace(0.1, 0.9, N)
    passthrough["location/center_y_frac"] = 0.25
    for name, table in (("particles.cs", rows), ("P1_J3_passthrough_particles.cs", passthrough[::-1])):
        with open(folder / "J3" / name, "wb") as file:
            np.save(file, table)
    return {
        "files": [folder / "J3/particles.cs"],
        "passthrough": [folder / "J3/P1_J3_passthrough_particles.cs"],
    }


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "relion").mkdir()
    monkeypatch.chdir(tmp_path / "relion")
    write_stack("Micrographs/mic 1.mrc", np.zeros((300, 500), np.float32), 1.25)
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [1.25]}
    micrographs = {"rlnMicrographName": ["Micrographs/mic 1.mrc"], "rlnOpticsGroup": [1]}
    write_star("micrographs.star", {"optics": pd.DataFrame(optics), "micrographs": pd.DataFrame(micrographs)})
    return Project()


def alignment(table, pixel=PIXEL):
    return np.stack(
        [table["rlnAnglePsi"], table["rlnOriginXAngst"] / pixel, table["rlnOriginYAngst"] / pixel], axis=1
    )


@pytest.mark.parametrize(("psize", "sign"), [(PIXEL, 1), (2 * PIXEL, -1)])
def test_cryosparcs_alignments(project, tmp_path, psize, sign):
    """Also where the classification worked on reduced images, and where particles are dark."""
    pose, shift, images = cryosparc_images(np.random.default_rng(0))
    source = write_cryosparc(tmp_path / "my project", images, pose, shift, psize, sign)
    result = project.import_(**source, micrographs="micrographs.star")
    assert result.values == {"particles": N, "inverted": sign < 0}
    found = ParticleSet.read(result.files["particles"])
    table, stack = found.table, found.images().read(slice(None))
    np.testing.assert_allclose(stack, images, atol=1e-5)
    aligned = alignment(table)
    assert correlation(average(stack, aligned), reference()) > 0.99
    for wrong in ((-1, 1), (1, -1), (-1, -1)):
        assert correlation(average(stack, aligned, wrong), reference()) < 0.9
    assert set(table["rlnMicrographName"]) == {"Micrographs/mic 1.mrc"}
    np.testing.assert_allclose(table[["rlnCoordinateX", "rlnCoordinateY"]].iloc[0], [50, 75], rtol=1e-6)
    assert found.optics["rlnImageSize"].tolist() == [BOX]
    nodes = read_star("default_pipeline.star")["pipeline_nodes"].set_index("rlnPipeLineNodeName")
    assert nodes.loc["Import/job001/particles.star", "rlnPipeLineNodeType"] == 3


def test_stacks_become_links_with_relions_suffix(project, tmp_path):
    pose, shift, images = cryosparc_images(np.random.default_rng(0))
    source = write_cryosparc(tmp_path / "sparc", images, pose, shift)
    for _ in range(2):  # a job that is continued makes them again
        result = project.import_(**source, output="there")
    name = result.tables["particles"]["rlnImageName"][0]
    assert name == "000001@there/J2/extract/0123_a_particles.mrcs"
    path = Path(name.partition("@")[2])
    assert path.is_symlink() and os.path.samefile(path, tmp_path / "sparc/J2/extract/0123_a_particles.mrc")
    inverted = project.import_(**source, contrast="dark", output="there")
    assert not path.is_symlink() and inverted.values["inverted"]
    np.testing.assert_array_equal(read_stack(path)[0], -images[0].astype(np.float32))


def test_a_classification_without_alignment_is_sharp(project, tmp_path):
    """What the documentation tells users to look at."""
    pose, shift, images = cryosparc_images(np.random.default_rng(0))
    source = write_cryosparc(tmp_path / "sparc", images, pose, shift)
    project.import_(**source)
    result = project.class2d(
        particles="Import/job001/particles.star",
        classes=1,
        mask_diameter=BOX * PIXEL,
        iterations=1,
        ctf=False,
        align=False,
    )
    stack = next(result.output.glob("run_it001_classes.mrcs"))
    assert correlation(read_stack(stack)[0], reference()) > 0.95


def test_particles_are_extracted_again_where_they_are(project):
    """cryoSPARC picked beside the particles, and its alignment found how far."""
    spots, missed = np.array([[60, 70], [333, 101], [222, 240]]), np.array([[4, -3], [-5, 2], [0, 6]])
    y, x = np.indices((300, 500))
    micrograph = -sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a, b in spots)
    write_stack("Micrographs/mic 1.mrc", micrograph.astype(np.float32), 1.25)
    picked = spots + missed
    boxes = [micrograph[b - 24 : b + 24, a - 24 : a + 24] for a, b in picked]
    write_stack("J2/particles.mrc", np.array(boxes), 1.25)
    rows = np.zeros(
        len(spots),
        [("uid", "<u8"), ("blob/path", "S60"), ("blob/idx", "<u4"), ("blob/psize_A", "<f4"),
         ("location/micrograph_path", "S60"), ("location/micrograph_shape", "<u4", (2,)),
         ("location/center_x_frac", "<f4"), ("location/center_y_frac", "<f4"), ("alignments2D/pose", "<f4"),
         ("alignments2D/shift", "<f4", (2,)), ("alignments2D/psize_A", "<f4")],
    )  # fmt: skip
    rows["uid"], rows["blob/path"], rows["blob/idx"] = range(3), b"J2/particles.mrc", range(3)
    rows["blob/psize_A"], rows["alignments2D/psize_A"] = 1.25, 2.5
    rows["location/micrograph_path"], rows["location/micrograph_shape"] = b"J1/mic 1.mrc", (300, 500)
    # Where it was picked, up to the half pixel that float32 would not be sure of.
    rows["location/center_x_frac"], rows["location/center_y_frac"] = ((picked + 0.25) / [500, 300]).T
    rows["alignments2D/shift"] = (missed + 0.25) / 2
    np.save("J2/particles.npy", rows)
    project.import_(files=["J2/particles.npy"], micrographs="micrographs.star")
    project.extract(
        micrographs="micrographs.star",
        reextract="Import/job001/particles.star",
        recenter=(0, 0, 0),
        box_size=32,
        normalise=False,
    )
    images = read_stack("Extract/job002/Micrographs/mic 1.mrcs")[:]
    assert [np.unravel_index(image.argmax(), image.shape) for image in images] == [(16, 16)] * 3


def test_upside_down(project, tmp_path):
    """Everything is turned over: images and alignments fit, and coordinates fit the project's micrograph."""
    pose, shift, images = cryosparc_images(np.random.default_rng(0))
    source = write_cryosparc(tmp_path / "sparc", images, pose, shift)
    result = project.import_(**source, micrographs="micrographs.star", flip_y=True)
    found = ParticleSet.read(result.files["particles"])
    stack = found.images().read(slice(None))
    np.testing.assert_array_equal(stack[:, 1:], images.astype(np.float32)[:, :0:-1])
    mirrored = np.roll(reference()[::-1], 1, axis=0)
    assert correlation(average(stack, alignment(found.table)), mirrored) > 0.99
    assert set(found.table["rlnCoordinateY"].round(6)) == {300 - 1 - 75}
    np.testing.assert_allclose(found.table["rlnDefocusAngle"], -np.degrees(0.5), rtol=1e-6)


def test_dark_half_precision_and_unclear_images(project, tmp_path):
    rng = np.random.default_rng(0)
    pose, shift, images = cryosparc_images(rng)
    source = write_cryosparc(tmp_path / "noise", rng.standard_normal(images.shape), pose, shift)
    result = project.import_(**source)
    assert not result.values["inverted"]
    assert "bright or dark is not clear" in (result.output / "run.err").read_text()
    path = tmp_path / "noise/J2/extract/0123_a_particles.mrc"
    write_stack(path, images[: N // 2], PIXEL, float16=True)
    result = project.import_(**source, contrast="bright")
    links = [p.is_symlink() for p in sorted(result.output.glob("J2/extract/*.mrcs"))]
    assert links == [False, True]  # RELION 3.1 does not read half precision


CISTEM = [
    "PositionInStack",
    "AnglePsi",
    "AngleTheta",
    "AnglePhi",
    "XShift",
    "YShift",
    "Defocus1",
    "Defocus2",
    "DefocusAngle",
    "PhaseShift",
    "Occupancy",
    "LogP",
    "Sigma",
    "Score",
    "ScoreChange",
    "PixelSize",
    "MicroscopeVoltagekV",
    "MicroscopeCsMM",
    "AmplitudeContrast",
    "Best2DClass",
    "OriginalImageFilename",
    "OriginalXPosition",
    "OriginalYPosition",
]


def test_cistems_alignments(project):
    """A shift says where the particle is (right and along rows); psi is that of RELION and Heymann et al."""
    rng = np.random.default_rng(3)
    psi, shift = rng.uniform(-180, 180, N), rng.uniform(-4, 4, (N, 2))
    images = np.array(
        [
            ndimage.shift(rotated(reference(), p), (dy, dx), order=3)
            for p, (dx, dy) in zip(psi, shift, strict=True)
        ]
    )
    images = -(images + 0.2 * rng.standard_normal(images.shape))  # cisTEM keeps particles dark
    write_stack("stack.mrc", images, PIXEL)
    head = "".join(f"_cisTEM{name} #{i}\n" for i, name in enumerate(CISTEM, 1))
    rows = [
        f"{i + 1} {psi[i]} 0 0 {shift[i, 0] * PIXEL} {shift[i, 1] * PIXEL} 15000 14000 45 0.5 100 0 1 0 0 "
        f"{PIXEL} 300 2.7 0.07 2 'mic 1.mrc' {10 + i} 20"
        for i in range(N)
    ]
    Path("cistem.star").write_text("data_\n\nloop_\n" + head + "\n".join(rows) + "\n")
    result = project.import_(files=["cistem.star"], stack="stack.mrc", micrographs="micrographs.star")
    found = ParticleSet.read(result.files["particles"])
    stack = found.images().read(slice(None))
    assert result.values["inverted"]
    aligned = alignment(found.table)
    assert correlation(average(stack, aligned), reference()) > 0.99
    for wrong in ((-1, 1), (1, -1)):
        assert correlation(average(stack, aligned, wrong), reference()) < 0.9
    # Of a folder, names may start there.
    Path("box").mkdir()
    for name in ("stack.mrc", "cistem.star"):
        Path(name).rename(Path("box") / name)
    again = project.import_(files=["box"], stack="stack.mrc", micrographs="micrographs.star")
    assert len(again.tables["particles"]) == N
    # Angstrom on the micrograph become its pixels, of 1.25 A.
    np.testing.assert_allclose(found.table["rlnCoordinateX"], (10 + np.arange(N)) / 1.25, rtol=1e-6)


def test_relions_own_particles(project, make_particles):
    make_particles(Path(), 12, 32, 3.0)
    result = project.import_(files=["particles.star"], content="particles", min_score=None)
    table = result.tables["particles"]
    assert len(table) == 12 and table["rlnImageName"].str.contains("@Import/job001/m").all()


def test_class_averages(project, tmp_path):
    averages = np.array([reference(), -0.5 * reference()[::-1], 2 * reference()])
    (tmp_path / "sparc/J3").mkdir(parents=True)
    write_stack(tmp_path / "sparc/J3/J3_020_class_averages.mrc", averages, PIXEL)
    rows = np.zeros(2, [("uid", "<u8"), ("blob/path", "S60"), ("blob/idx", "<u4"), ("blob/psize_A", "<f4")])
    rows["uid"], rows["blob/path"] = [1, 2], b"J3/J3_020_class_averages.mrc"
    rows["blob/idx"], rows["blob/psize_A"] = [2, 0], PIXEL
    np.save(tmp_path / "sparc/J3/templates_selected.npy", rows)
    result = project.import_(files=[tmp_path / "sparc/J3/templates_selected.npy"])
    table = read_star(result.files["class_averages"])[""]
    assert table["rlnReferenceImage"].tolist() == [
        f"{n:06d}@Import/job001/class_averages.mrcs" for n in (1, 2)
    ]
    assert table["rlnClassNumber"].tolist() == [3, 1]
    stack = read_stack("Import/job001/class_averages.mrcs")
    np.testing.assert_allclose(stack[0], 2 * reference(), rtol=1e-6)
    assert stack.pixel_size_angstrom == PIXEL
    nodes = read_star("default_pipeline.star")["pipeline_nodes"].set_index("rlnPipeLineNodeName")
    assert nodes.loc["Import/job001/class_averages.star", "rlnPipeLineNodeType"] == 5
    plain = project.import_(files=[tmp_path / "sparc/J3/J3_020_class_averages.mrc"], contrast="bright")
    assert plain.values == {"classes": 3, "inverted": False}


def test_refusals(project, tmp_path):
    pose, shift, images = cryosparc_images(np.random.default_rng(0))
    source = write_cryosparc(tmp_path / "sparc", images, pose, shift)
    with pytest.raises(
        InputError, match=r"none of the 2 stacks, for example J2/extract/0123_a_particles.mrc, is in"
    ):
        project.import_(**source, root=tmp_path / "relion")
    with pytest.raises(InputError, match="2 files of particles were given"):
        project.import_(files=[*source["files"], *source["passthrough"]], content="particles")
    with pytest.raises(InputError, match="give --micrographs"):
        project.import_(**source, flip_y=True)
    write_star("micrographs.star", {"micrographs": pd.DataFrame({"rlnMicrographName": ["a.mrc", "b.mrc"]})})
    with pytest.raises(
        InputError, match=r"none of the 1 micrographs of the particles is in micrographs.star"
    ):
        project.import_(**source, micrographs="micrographs.star")


def test_images_that_cannot_be_read_are_left_out(project, tmp_path):
    pose, shift, images = cryosparc_images(np.random.default_rng(0))
    source = write_cryosparc(tmp_path / "sparc", images, pose, shift)
    (tmp_path / "sparc/J2/extract/0123_b_particles.mrc").unlink()
    result = project.import_(**source, micrographs="micrographs.star")
    assert result.values["particles"] == N // 2
    assert len(result.bad) == 1 and "0123_b_particles.mrc" in result.bad[0][0]
    assert alignment(result.tables["particles"])[:, 0] == pytest.approx(np.degrees(pose[: N // 2]), abs=1e-4)
