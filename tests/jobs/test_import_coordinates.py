"""Coordinates come from files written in each program's convention, and must hit particles in an image.

The particles are dark spots at known, unequal places of a rectangular image; where they really are is
measured in the pixels: of the image itself, of a reduced one, or of one turned over.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.cli.command import main
from boxwood.errors import InputError, JobError
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_image, write_stack
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project
from boxwood.project.job_form import JobType, write_job_star

NY, NX, PIXEL = 96, 144, 1.25
SPOTS = np.array([[31.25, 20.5], [101.75, 66.0], [120.0, 30.25], [24.5, 70.75]])  # x, y
X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"
NAME = "MotionCorr/job002/Movies/mic 1.mrc"
OTHER = "MotionCorr/job002/Movies/mic 2.mrc"


def spots(shape, places, sigma):
    y, x = np.indices(shape)
    return -sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in places)


def measured(image, guesses, sigma):
    """Where spots near the guesses are: centres of mass under a window that moves with them, in pixels."""
    rows, columns = np.indices(image.shape)
    found = []
    for x, y in guesses:
        for _ in range(60):
            weight = -image * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
            x, y = (float((index * weight).sum() / weight.sum()) for index in (columns, rows))
        found.append((x, y))
    return np.array(found)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stack(NAME, spots((NY, NX), SPOTS, 3.0).astype(np.float32), PIXEL)
    write_stack(OTHER, np.zeros((NY, NX), np.float32), PIXEL)
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL]}
    tables = {
        "optics": pd.DataFrame(optics),
        "micrographs": pd.DataFrame({"rlnMicrographName": [NAME, OTHER], "rlnOpticsGroup": 1}),
    }
    write_star("micrographs.star", tables)
    return Project()


def imported(project, *files, **options):
    result = project.import_(files=files, micrographs="micrographs.star", **options)
    assert result.values["micrographs"] == 1
    return read_coordinates(coordinate_files(result.output)[NAME])


def check(table, tolerance=0.01):
    """Every coordinate is where a spot really is; half a pixel, or x for y, would be noticed."""
    image = read_image(NAME).data.astype(np.float64)
    found = table[[X, Y]].to_numpy()
    np.testing.assert_allclose(measured(image, np.round(found), 3), found, atol=tolerance)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], SPOTS[np.argsort(SPOTS[:, 0])], atol=tolerance)


def eman(places, box=24):
    """Corner where x and y are smallest, width, height."""
    return "".join(f"{x - box / 2}\t{y - box / 2}\t{box}\t{box}\n" for x, y in places)


def topaz(places, name="mic 1"):
    return "image_name\tx_coord\ty_coord\tscore\n" + "".join(
        f"{name}\t{x}\t{y}\t{i}\n" for i, (x, y) in enumerate(places)
    )


def cbox(places, box=24):
    labels = (
        "CoordinateX CoordinateY CoordinateZ Width Height Depth EstWidth EstHeight Confidence NumBoxes Angle"
    )
    head = "".join(f"_{label} #{i}\n" for i, label in enumerate(labels.split(), 1))
    rows = "".join(
        f"{x - box / 2} {y - box / 2} <NA> {box}.0 {box}.0 <NA> 20.0 20.0 0.{i}5 <NA> <NA>\n"
        for i, (x, y) in enumerate(places)
    )
    start = "\ndata_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n"
    return f"{start}{head}{rows}\ndata_cryolo_include\n"


def sparc(places, path=b"J1/imported/009914178543224165632_mic 1.mrc", shape=(NY, NX)):
    rows = np.zeros(
        len(places),
        [("uid", "<u8"), ("location/micrograph_path", "S60"), ("location/micrograph_shape", "<u4", (2,)),
         ("location/center_x_frac", "<f4"), ("location/center_y_frac", "<f4"),
         ("pick_stats/ncc_score", "<f4")],
    )  # fmt: skip
    rows["uid"], rows["location/micrograph_path"] = range(1, len(places) + 1), path
    rows["location/micrograph_shape"] = shape
    rows["location/center_x_frac"], rows["location/center_y_frac"] = (np.array(places) / [NX, NY]).T
    rows["pick_stats/ncc_score"] = np.arange(len(places)) / 4
    return rows


def database(path, places):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IMAGE_ASSETS (IMAGE_ASSET_ID INTEGER, NAME TEXT)")
        connection.execute(
            "CREATE TABLE PARTICLE_POSITION_ASSETS (PARTICLE_POSITION_ASSET_ID INTEGER, "
            "PARENT_IMAGE_ASSET_ID INTEGER, X_POSITION REAL, Y_POSITION REAL)"
        )
        connection.execute("INSERT INTO IMAGE_ASSETS VALUES (3, 'mic 1')")
        rows = [(i, 3, x * PIXEL, y * PIXEL) for i, (x, y) in enumerate(places)]
        connection.executemany("INSERT INTO PARTICLE_POSITION_ASSETS VALUES (?, ?, ?, ?)", rows)
    connection.close()


def test_the_fixture_itself():
    image = spots((NY, NX), SPOTS, 3.0)
    np.testing.assert_allclose(measured(image, np.round(SPOTS), 3), SPOTS, atol=0.003)


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("mic 1.box", eman(SPOTS), {}),
        ("mic 1_autopick.box", eman(SPOTS, 23.5), {}),
        ("mic 1.cbox", cbox(SPOTS), {}),
        ("picks.txt", topaz(SPOTS), {}),
        ("mic 1.txt", "\n".join(f"{x} {y} 0.5" for x, y in SPOTS), {}),
        ("all.csv", "file;row;column\n" + "\n".join(f"mic 1.mrc;{y};{x}" for x, y in SPOTS),
         {"x_column": "column", "y_column": "row", "micrograph_column": "file"}),
        ("mic 1.txt", "\n".join(f"{x - 12} {y - 12}" for x, y in SPOTS), {"corner_box": 24}),
        ("mic 1.star", "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n"
         + "\n".join(f"{x} {y}" for x, y in SPOTS), {}),
    ],
)  # fmt: skip
def test_text_formats(project, name, text, options):
    Path(name).write_text(text)
    check(imported(project, name, **options))


def test_cryosparc(project):
    np.save("picks.npy", sparc(SPOTS))
    table = imported(project, "picks.npy")
    check(table)
    assert table[FOM].tolist() == [0, 0.25, 0.5, 0.75]
    # The fraction of a pixel is kept, though RELION's extraction cuts it off.
    np.testing.assert_allclose(table[[X, Y]], SPOTS, atol=1e-5)


def test_fractions_need_no_shape_and_no_binning(project):
    rows = sparc(SPOTS)
    np.save(
        "picks.npy",
        rows[["uid", "location/micrograph_path", "location/center_x_frac", "location/center_y_frac"]],
    )
    check(imported(project, "picks.npy"))
    np.save("half.npy", sparc(SPOTS, shape=(NY // 2, NX // 2)))
    check(imported(project, "half.npy"))
    with pytest.raises(InputError, match="says itself what its coordinates count in"):
        imported(project, "half.npy", binning=2)


def test_a_turned_micrograph_is_noticed(project):
    np.save("picks.npy", sparc(SPOTS, shape=(NX, NY)))
    with pytest.raises(
        JobError, match=r"is 144 x 96 pixels, and .* has it 96 x 144: it is another image, or turned"
    ):
        imported(project, "picks.npy")


def test_cistem_database(project):
    database("my project.db", SPOTS)
    check(imported(project, "my project.db"))


def reduced(image, factor):
    """Every axis's transform cropped."""
    ny, nx = (n // factor for n in image.shape)
    transform = np.fft.fftshift(np.fft.fft2(image))
    top, left = (image.shape[0] - ny) // 2, (image.shape[1] - nx) // 2
    cropped = transform[top : top + ny, left : left + nx]
    return np.fft.ifft2(np.fft.ifftshift(cropped)).real / factor**2


def averaged(image, factor):
    ny, nx = (n // factor for n in image.shape)
    return image.reshape(ny, factor, nx, factor).mean(axis=(1, 3))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize(("reduce", "options"), [(reduced, {}), (averaged, {"averaged": True})])
def test_picks_on_a_reduced_micrograph(project, reduce, options, factor):
    """Spots are found in the reduced image itself, so that half a pixel of its origin would be noticed."""
    small = reduce(read_image(NAME).data.astype(np.float64), factor)
    seen = measured(small, SPOTS / factor, 3 / factor)
    Path("picks.txt").write_text(topaz(seen))
    # A spot's deviation is less than a pixel of the smallest image.
    check(imported(project, "picks.txt", binning=factor, **options), tolerance=0.1)
    again = imported(project, "picks.txt", coordinate_pixel_size=PIXEL * factor, **options)
    check(again, tolerance=0.1)


def test_picks_on_a_micrograph_upside_down(project):
    turned = read_image(NAME).data.astype(np.float64)[::-1]
    seen = measured(turned, np.stack([SPOTS[:, 0], NY - 1 - SPOTS[:, 1]], axis=1), 3)
    Path("picks.txt").write_text(topaz(seen))
    check(imported(project, "picks.txt", flip_y=True))
    np.save("picks.npy", sparc(seen))
    check(imported(project, "picks.npy", flip_y=True))


def test_reduced_and_upside_down(project):
    small = averaged(read_image(NAME).data.astype(np.float64)[::-1], 2)
    seen = measured(small, np.stack([SPOTS[:, 0], NY - 1 - SPOTS[:, 1]], axis=1) / 2, 1.5)
    Path("mic 1.box").write_text(eman(seen, 12))
    check(imported(project, "mic 1.box", flip_y=True, binning=2, averaged=True), tolerance=0.1)


def test_low_scores_are_left_out(project):
    Path("picks.txt").write_text(topaz(SPOTS))
    assert imported(project, "picks.txt", min_score=2)[FOM].tolist() == [2, 3]
    Path("mic 1.box").write_text(eman(SPOTS))
    with pytest.raises(InputError, match="has no scores"):
        imported(project, "mic 1.box", min_score=2)


def test_the_job_is_relions_import(project):
    Path("picks").mkdir()
    Path("picks/mic 1.box").write_text(eman(SPOTS))
    result = project.import_(files=["picks"], micrographs="micrographs.star")
    job = "Import/job001"
    assert result.output.as_posix() == job and result.values == {"picks": 4, "micrographs": 1}
    assert read_star(f"{job}/job.star")["job"]["rlnJobType"] == 0
    assert Path(job, "coords_suffix_import.star").read_text() == "micrographs.star\n"
    nodes = read_star("default_pipeline.star")["pipeline_nodes"]
    assert dict(zip(nodes["rlnPipeLineNodeName"], nodes["rlnPipeLineNodeType"], strict=True)) == {
        "micrographs.star": 1,
        f"{job}/coords_suffix_import.star": 2,
    }
    assert Path(job, "Movies/mic 1_import.png").exists()
    particles = project.extract(micrographs="micrographs.star", coordinates=job, box_size=16, normalise=False)
    assert len(particles.tables["particles"]) == 4


def test_relions_form_is_run(project, tmp_path, capsys):
    """RELION's form names coordinates by a pattern, and not the micrographs they are on."""
    Path("picks").mkdir()
    Path("picks/mic 1.box").write_text(eman(SPOTS))
    form = {"do_raw": "No", "do_other": "Yes", "fn_in_other": "picks/*.box", "fn_in_raw": "Micrographs/*.tif",
            "node_type": "Particle coordinates (*.box, *_pick.star)"}  # fmt: skip
    write_job_star(Path(".gui_importjob.star"), JobType("Import", 0, ""), form, relion="1", continuing=False)
    assert main(["run-job", ".gui_importjob.star"]) == 2
    assert "coordinates are on micrographs; give their STAR file" in capsys.readouterr().err
    assert main(["run-job", ".gui_importjob.star", "--micrographs", "micrographs.star"]) == 0
    check(read_coordinates(coordinate_files("Import/job002")[NAME]))
    assert main(["run-job", "Import/job002"]) == 0  # and what boxwood itself was asked for
    check(read_coordinates(coordinate_files("Import/job003")[NAME]))


def test_in_a_project_of_relion_5(project):
    Path("default_pipeline.star").write_text(
        "# version 50001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 1\n\n# version 50001\n\n"
        "data_pipeline_processes\n\nloop_\n_rlnPipeLineProcessName #1\n_rlnPipeLineProcessAlias #2\n"
        "_rlnPipeLineProcessTypeLabel #3\n_rlnPipeLineProcessStatusLabel #4\n"
        "Import/job000/ None relion.import.movies Succeeded\n"
    )
    Path("mic 1.box").write_text(eman(SPOTS))
    result = project.import_(files=["mic 1.box"], micrographs="micrographs.star")
    assert result.files["coordinates"].name == "coordinates.star"
    pipeline = read_star("default_pipeline.star")
    assert "relion.import.other" in set(pipeline["pipeline_processes"]["rlnPipeLineProcessTypeLabel"])
    node = pipeline["pipeline_nodes"].set_index("rlnPipeLineNodeName").loc["Import/job001/coordinates.star"]
    assert node["rlnPipeLineNodeTypeLabel"] == "MicrographCoordsGroup.star.relion"
    assert list(coordinate_files("Import/job001")) == [NAME]


def test_patterns_and_several_files(project):
    Path("picks").mkdir()
    Path("picks/mic 1.box").write_text(eman(SPOTS[:2]))
    Path("picks/mic 2_pick.box").write_text(eman(SPOTS[2:]))
    for files in (
        ["picks"],
        ["picks/*.box"],
        sorted(Path("picks").iterdir()),
        [Path("picks").absolute() / "*.box"],
    ):
        result = project.import_(files=files, micrographs="micrographs.star")
        assert result.values == {"picks": 4, "micrographs": 2}


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"mic 9.box": eman(SPOTS)}, {}, "none of the 1 micrographs .*mic 9.* and .*mic 1.mrc; see --strip"),
        ({"mic 1.box": eman(SPOTS), "mic 1_pick.box": eman(SPOTS)}, {}, "are both called like micrograph"),
        ({"mic 1.box": eman(SPOTS), "mic 2.cbox": cbox(SPOTS)}, {}, r"several formats: .*\(cbox\), .*eman"),
        ({"mic 1.box": eman(SPOTS * 4)}, {}, "of 4 coordinates lie outside their micrographs"),
        ({"mic 1.txt": "a,b\n1,2\n"}, {}, "say with x_column and y_column"),
        ({"mic 1.box": eman(SPOTS)}, {"binning": 2, "coordinate_pixel_size": 3}, "say the same thing"),
        ({"mic 1.box": eman(SPOTS)}, {"averaged": True}, "give also binning"),
        ({"mic 1.box": eman(SPOTS)}, {"content": "particles"}, "format eman, which has no particles"),
        ({}, {}, "no file of coordinates or particles"),
    ],
)  # fmt: skip
def test_refusals(project, files, options, words):
    Path("in").mkdir()
    for name, text in files.items():
        Path("in", name).write_text(text)
    with pytest.raises(InputError, match=words):
        project.import_(files=["in"], micrographs="micrographs.star", **options)


def test_missing_files_and_micrographs(project):
    with pytest.raises(InputError, match=r"files: gone.box: nothing there"):
        project.import_(files=["gone.box"], micrographs="micrographs.star")
    with pytest.raises(InputError, match=r"files: gone\*.box: nothing like it there"):
        project.import_(files=["gone*.box"], micrographs="micrographs.star")
    Path("mic 1.box").write_text(eman(SPOTS))
    with pytest.raises(InputError, match="give their STAR file with --micrographs"):
        project.import_(files=["mic 1.box"])


def test_micrographs_that_are_not_the_projects_are_named(project):
    Path("picks.txt").write_text(topaz(SPOTS) + topaz(SPOTS, "mic 7").partition("\n")[2])
    result = project.import_(files=["picks.txt"], micrographs="micrographs.star")
    assert result.values["picks"] == 4
    assert result.bad == (("mic 7", "it is not among the micrographs of micrographs.star"),)


def test_a_few_outside_are_told(project):
    Path("mic 1.box").write_text(eman([*SPOTS, (NX + 3, 4)]))
    result = project.import_(files=["mic 1.box"], micrographs="micrographs.star")
    assert result.values["picks"] == 5
    assert "1 of 5 coordinates lie outside" in (result.output / "run.err").read_text()
