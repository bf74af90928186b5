"""The extract job on small micrographs: what is written, skipped, refused and gone on with."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError, JobError
from boxwood.io.coordinates import (
    coordinate_files,
    coordinate_path,
    write_coordinate_list,
    write_coordinates,
    write_coords_suffix,
)
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star, write_star
from boxwood.jobs.extract import Gallery
from boxwood.jobs.registry import load_job
from boxwood.jobs.reporter import Silent
from boxwood.jobs.runner import run_job

PIXEL = 1.5
NAMES = [f"MotionCorr/job002/Movies/m{i}.mrc" for i in range(3)]
DRAW = Gallery.draw
X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"


class Listener(Silent):
    """Remembers what the job says."""

    def __init__(self):
        self.texts = []

    def event(self, kind, **data):
        self.texts.append(f"{kind}: {data.get('text') or data.get('reason') or ''}")


def write_list(names=NAMES, **columns):
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["one", "two"],
            "rlnOpticsGroup": [1, 2],
            "rlnMicrographPixelSize": [PIXEL, 3.0],
        }
    )
    table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1, **columns})
    write_star("micrographs.star", {"optics": optics, "micrographs": table})


def write_picks(name, x, y):
    path = coordinate_path("AutoPick/job006", name, "autopick")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_coordinates(path, pd.DataFrame({X: x, Y: y, FOM: np.linspace(0.1, 1, len(x))}, dtype=float))
    return path


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(NAMES):
        rng = np.random.default_rng(i)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_stack(name, rng.standard_normal((120, 150 + i)).astype(np.float32), PIXEL)
        write_picks(name, rng.uniform(0, 150, 12), rng.uniform(0, 120, 12))
    write_list()
    write_coords_suffix("AutoPick/job006", "autopick", "micrographs.star")
    monkeypatch.setattr(Gallery, "draw", lambda *_: None)  # slower than the rest
    return tmp_path


def extract(output="out", continue_from=False, threads=2, reporter=None, **options):
    values = {"micrographs": "micrographs.star", "box_size": 32, **options}
    if "reextract" not in options:
        values = {"coordinates": "AutoPick/job006", **values}
    return run_job(
        load_job("extract"),
        values,
        output=output,
        threads=threads,
        continue_from=continue_from,
        reporter=reporter,
    )


def test_what_is_written():
    result = extract(rescale=16)
    particles = ParticleSet.read(result.files["particles"])
    assert len(particles) == 36 == result.values["particles"]
    assert list(particles.table) == [X, Y, FOM, "rlnImageName", "rlnMicrographName", "rlnOpticsGroup"]
    assert particles.table["rlnImageName"].iloc[13] == "000002@out/Movies/m1.mrcs"
    assert particles.pixel_sizes().tolist() == [2 * PIXEL] * 36
    images = particles.images(".").read(slice(None))
    assert images.shape == (36, 16, 16)
    assert read_stack("out/Movies/m0.mrcs").pixel_size_angstrom == pytest.approx(2 * PIXEL)
    each = read_star("out/Movies/m1_extract.star")["images"]
    pd.testing.assert_frame_equal(each, particles.table[12:24].reset_index(drop=True))


def test_threads_do_not_matter():
    one = extract("one", threads=1, white_dust=2)
    many = extract("many", threads=5, white_dust=2)
    for i in range(3):
        assert Path(f"one/Movies/m{i}.mrcs").read_bytes() == Path(f"many/Movies/m{i}.mrcs").read_bytes()
    left, right = (r.tables["particles"].drop(columns="rlnImageName") for r in (one, many))
    pd.testing.assert_frame_equal(left, right)


@pytest.mark.parametrize(
    "coordinates",
    ["AutoPick/job006", "AutoPick/job006/coords_suffix_autopick.star", "AutoPick/job006/autopick.star"],
)
def test_every_way_to_name_coordinates(coordinates):
    files = coordinate_files("AutoPick/job006/coords_suffix_autopick.star")
    write_coordinate_list("AutoPick/job006/autopick.star", files)
    assert extract(coordinates=coordinates).values["particles"] == 36


def test_bad_micrographs_are_named_and_skipped():
    Path(NAMES[1]).write_bytes(Path(NAMES[1]).read_bytes()[:5000])
    result = extract()
    assert [name for name, _ in result.bad] == [NAMES[1]]
    assert "truncated" in result.bad[0][1]
    assert set(result.tables["particles"]["rlnMicrographName"]) == {NAMES[0], NAMES[2]}
    assert not Path("out/Movies/m1.mrcs").exists()


def test_micrographs_without_coordinates_are_skipped():
    coordinate_path("AutoPick/job006", NAMES[0], "autopick").unlink()
    coordinate_path("AutoPick/job006", NAMES[1], "autopick").write_text("")
    listener = Listener()
    result = extract(reporter=listener)
    assert set(result.tables["particles"]["rlnMicrographName"]) == {NAMES[2]}
    assert "log: 1 of 3 micrographs have no coordinates and are skipped" in listener.texts
    assert f"warning: {NAMES[1]}: there are no particles" in listener.texts


def test_particles_that_cannot_be_used_are_left_out():
    image = np.random.default_rng(0).standard_normal((120, 150)).astype(np.float32)
    image[:40, :40] = 7
    image[100, 100] = np.nan
    write_stack(NAMES[0], image, PIXEL)
    write_picks(NAMES[0], [18, 100, 80, -500], [18, 100, 50, 60])
    listener = Listener()
    table = extract(reporter=listener).tables["particles"]
    mine = table[table["rlnMicrographName"] == NAMES[0]]
    assert mine[X].tolist() == [80]
    assert mine["rlnImageName"].tolist() == ["000001@out/Movies/m0.mrcs"]
    text = "\n".join(listener.texts)
    for words in (
        "1 of 4 particles lie outside",
        "1 particles have no contrast",
        "1 particles have pixels that are no numbers",
        "1 micrographs have fewer than 10 particles",
    ):
        assert words in text


@pytest.mark.parametrize("edge", ["replicate", "flag", "drop"])
def test_edges(edge):
    for name in NAMES:
        write_picks(name, [16, 15, 100], [16, 60, 60])
    table = extract(edge=edge).tables["particles"]
    assert len(table) == (6 if edge == "drop" else 9)
    if edge == "flag":
        assert table["boxwoodTouchesEdge"].tolist() == [0, 1, 0] * 3
    else:
        assert "boxwoodTouchesEdge" not in table


def test_options_of_the_form():
    result = extract(min_fom=0.5, pixel_size=2.0, float16=True)
    assert (result.tables["particles"][FOM] > 0.5).all()
    assert len(result.tables["particles"]) == 3 * 7
    assert result.tables["optics"]["rlnImagePixelSize"].iloc[0] == 2.0
    assert Path("out/Movies/m0.mrcs").stat().st_size == 1024 + 7 * 32 * 32 * 2


def test_continue_does_only_what_is_unfinished():
    first = extract()
    kept = Path("out/Movies/m0.mrcs").stat().st_mtime_ns
    Path("out/Movies/m1_extract.star").unlink()
    Path("out/Movies/m1.mrcs").write_bytes(b"half a stack")
    Path("out/particles.star").unlink()
    again = extract(continue_from=True)
    pd.testing.assert_frame_equal(first.tables["particles"], again.tables["particles"])
    assert Path("out/Movies/m0.mrcs").stat().st_mtime_ns == kept
    assert len(read_stack("out/Movies/m1.mrcs")) == 12


@pytest.mark.parametrize("output", ["out", None])
def test_continue_refuses_what_the_finished_stacks_are_not(output):
    first = extract(output)
    where = {"output": output, "continue_from": True if output else "Extract/job001"}
    before = first.files["particles"].read_bytes()
    for change in ({"box_size": 48, "rescale": 16}, {"rescale": 16}, {"invert_contrast": False}):
        name = next(iter(change))
        with pytest.raises(InputError, match=f"was begun with {name} .*; start a new one"):
            extract(**where, **change)
    assert first.files["particles"].read_bytes() == before
    assert (first.output / "RELION_JOB_EXIT_SUCCESS").exists() == (output is None)
    assert extract(**where, coordinates=Path("AutoPick/job006").resolve()).values == first.values


def test_a_job_of_the_project():
    result = extract(output=None)
    assert result.output == Path("Extract/job001")
    assert Path("Extract/job001/RELION_JOB_EXIT_SUCCESS").exists()
    pipeline = read_star("default_pipeline.star")
    assert pipeline["pipeline_processes"]["rlnPipeLineProcessType"].tolist() == [5]
    outputs = pipeline["pipeline_output_edges"]["rlnPipeLineEdgeToNode"].tolist()
    assert outputs == ["Extract/job001/particles.star"]
    assert result.tables["particles"]["rlnImageName"][0] == "000001@Extract/job001/Movies/m0.mrcs"
    options = read_star("Extract/job001/job.star")["joboptions_values"]
    values = dict(zip(options["rlnJobOptionVariable"], options["rlnJobOptionValue"].astype(str), strict=True))
    assert values["extract_size"] == "32" and values["do_rescale"] == "No" and values["bg_diameter"] == "-1"


def test_particles_again():
    extract("first", rescale=16)
    refined = read_star("first/particles.star")
    n = len(refined["particles"])
    refined["particles"] = refined["particles"].assign(
        rlnOriginXAngst=np.linspace(-6, 6, n), rlnOriginYAngst=3.0, rlnAnglePsi=0.0, rlnClassNumber=2
    )
    write_star("refined.star", refined)
    table = extract("again", reextract="refined.star", recenter=(0, 0, 0)).tables["particles"]
    before, after = refined["particles"], table
    for axis in "XY":
        was = before[f"rlnCoordinate{axis}"] - before[f"rlnOrigin{axis}Angst"] / PIXEL
        now = after[f"rlnCoordinate{axis}"] - after[f"rlnOrigin{axis}Angst"] / PIXEL
        np.testing.assert_allclose(was, now, atol=1e-5)  # the file has six digits
        assert after[f"rlnOrigin{axis}Angst"].abs().max() <= PIXEL / 2 + 1e-6
    assert table["rlnImageName"].iloc[0] == "000001@again/Movies/m0.mrcs"
    assert Path("again/coords_suffix_extract.star").read_text() == "micrographs.star\n"
    again = coordinate_files("again")
    assert list(again) == NAMES


def test_odd_rescale_becomes_even():
    listener = Listener()
    assert extract(rescale=15, reporter=listener).values["image_size"] == 16
    assert "warning: rescale is 15 px, an odd number; 16 px is used" in listener.texts


def test_the_gallery_is_drawn(monkeypatch):
    monkeypatch.setattr(Gallery, "draw", DRAW)
    listener = Listener()
    result = extract(reporter=listener)
    assert result.files["gallery"].read_bytes()[:4] == b"\x89PNG"
    assert not any("not drawn" in text for text in listener.texts)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"box_size": 33}, "box_size is 33 px; it must be an even number of at least 4, e.g. 34"),
        ({"background_diameter": 50}, "background circle of 50 px is wider than the image"),
        ({"window": 64}, "window is 64 px, more than the rescaled box, 32 px"),
        ({"ctf_box_size": 16}, "ctf_box_size is 16 px, less than box_size, 32 px"),
        (
            {"reextract": "micrographs.star", "coordinates": "AutoPick/job006"},
            "either coordinates .* or reextract",
        ),
        ({"coordinates": None}, "either coordinates"),
        ({"recenter": (0, 0, 0)}, "recenter, reset_offsets and keep_micrograph_ctf need reextract"),
        ({"phase_flip": True, "premultiply_ctf": True}, "exclude each other"),
        ({"edge": "mirror"}, "edge is 'mirror'; it must be one of replicate, flag, drop"),
        ({"helix": True}, "helix cannot be set"),
        ({"coordinates": "AutoPick/job099"}, "there is no file AutoPick/job099"),
        ({"reextract": "micrographs.star"}, "no table with a column _rlnImageName"),
    ],
)
def test_refusals(options, sentence):
    with pytest.raises(InputError, match=sentence):
        extract(**options)


def test_picks_of_other_micrographs():
    write_list(["other/m9.mrc"])
    with pytest.raises(InputError, match="no coordinates for the 1 micrographs of micrographs"):
        extract()


def test_no_particle_at_all_is_an_error():
    with pytest.raises(JobError, match="no particle was extracted from 3 micrographs"):
        extract(min_fom=10)
    for name in NAMES:
        Path(name).write_bytes(b"")
    with pytest.raises(JobError, match="none of the 3 micrographs could be used"):
        extract("none")


def test_a_ctf_is_needed_to_correct_for_it():
    with pytest.raises(JobError, match="has no _rlnDefocusU, which the CTF needs"):
        extract(phase_flip=True)
