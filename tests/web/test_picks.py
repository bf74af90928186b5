"""Picks by requests: what is saved is what RELION's window would have saved, and nothing else is."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boxwood.backends import get_backend
from boxwood.imaging.fourier import forward, frequency_grid, inverse, signed_frequencies
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_image, write_stack
from boxwood.io.particles import MicrographSet, ctf_rows
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project
from boxwood.web import ctf_picture, images, picking
from boxwood.web.filtered import Filter
from boxwood.web.workspace import Workspace

STAR = "micrographs_ctf.star"
NAME = "Micrographs/micrograph_002.mrc"
X, Y = "rlnCoordinateX", "rlnCoordinateY"
LABELS = [X, Y, "rlnClassNumber", "rlnAnglePsi", "rlnAutopickFigureOfMerit"]


@pytest.fixture
def manual(copy):
    """A manual picking job without picks: its name."""
    return Project(copy).manual_pick(micrographs=STAR, diameter=160).output.relative_to(copy).as_posix()


def read(client, source, name=NAME):
    return client.get("/api/picks/coordinates", params={"source": source, "name": name})


def save(client, source, content, revision, name=NAME):
    where = {"source": source, "name": name}
    return client.put("/api/picks/coordinates", params=where, json={"revision": revision, "content": content})


def test_what_the_list_shows(client, copy, manual):
    facts = client.get("/api/picks", params={"source": manual}).json()
    table = MicrographSet.read(copy / STAR).table
    assert facts["names"] == table["rlnMicrographName"].tolist()
    assert facts["counts"] == [None] * 3 and facts["selected"] == [True] * 3
    assert facts["metadata"]["rlnDefocusU"] == table["rlnDefocusU"].tolist()
    assert facts["pixel_sizes"] == [3.54] * 3
    options = facts["options"]
    assert (options["diameter"], options["low_pass"], options["high_pass"]) == (160, 20, -1)
    auto = client.get("/api/picks", params={"source": "AutoPick/job001"}).json()
    assert auto["counts"] == [
        len(read_coordinates(f)) for f in coordinate_files(copy / "AutoPick/job001").values()
    ]
    assert (auto["picks"], auto["options"]["min_diameter"]) == ("autopick", 150)
    plain = client.get("/api/picks", params={"source": STAR}).json()
    assert (plain["picks"], plain["counts"], len(plain["names"])) == ("", None, 3)


def test_jobs_that_picked_in_other_ways_are_shown(client, copy):
    Project(copy).autopick(micrographs=STAR, method="adaptive", diameter="auto")
    facts = client.get("/api/picks", params={"source": "AutoPick/job004"}).json()
    model = pd.DataFrame(read_star(copy / "AutoPick/job004/picking_model.star")["model_general"])
    assert facts["diameter"] == pytest.approx(model["boxwoodParticleDiameter"].iloc[0], rel=1e-5)
    assert facts["options"]["method"] == "adaptive" and len(facts["counts"]) == 3
    content = {"min_diameter": 150, "max_diameter": 180}
    where = {"source": "AutoPick/job004", "name": NAME}
    assert client.post("/api/picks/peaks", params=where, json={"content": content}).json()["x"]
    # files of particles name their micrographs, too, but a row is no micrograph
    assert (
        "lists particles"
        in client.get("/api/picks", params={"source": "Extract/job002/particles.star"}).json()["error"]
    )


def test_picks_are_saved_as_relion_saves_them(client, copy, manual):
    before = read(client, manual).json()
    assert before["labels"] == LABELS and before["rows"] == []
    row = before["fresh"]
    rows = [[100, 200, *row[2:]], [31, 7, *row[2:]]]
    answer = save(client, manual, {"labels": LABELS, "rows": rows}, before["revision"])
    assert answer.status_code == 200
    text = (copy / manual / "Micrographs/micrograph_002_manualpick.star").read_text()
    # as RELION 3.1.3 wrote it in the tutorial's project
    assert text == (
        "\n# version 30001\n\ndata_\n\nloop_ \n_rlnCoordinateX #1 \n_rlnCoordinateY #2 \n"
        "_rlnClassNumber #3 \n"
        "_rlnAnglePsi #4 \n_rlnAutopickFigureOfMerit #5 \n"
        "  100.000000   200.000000         -999   -999.00000   -999.00000 \n"
        "   31.000000     7.000000         -999   -999.00000   -999.00000 \n \n"
    )
    again = read(client, manual).json()
    assert again["rows"] == rows and again["revision"] == answer.json()["revision"]
    assert client.get("/api/picks", params={"source": manual}).json()["counts"] == [None, 2, None]
    listed = read_star(copy / manual / "manualpick.star")["coordinate_files"]
    assert pd.DataFrame(listed)["rlnMicrographCoordinates"].tolist() == [
        f"{manual}/Micrographs/micrograph_002_manualpick.star"
    ]
    # without picks the file is empty, as RELION's is
    save(client, manual, {"labels": LABELS, "rows": []}, again["revision"])
    assert (copy / manual / "Micrographs/micrograph_002_manualpick.star").read_bytes() == b""


def test_columns_that_nobody_asked_for_are_kept(client, copy):
    path = copy / "AutoPick/job001/Micrographs/micrograph_002_autopick.star"
    before = read_coordinates(path).assign(mine=1.5)
    before["word"] = "ice"
    write_star(path, {"": before})
    found = read(client, "AutoPick/job001").json()
    kept = found["rows"][1:]
    new = [11, 12, *found["fresh"][2:]]
    save(client, "AutoPick/job001", {"labels": found["labels"], "rows": [*kept, new]}, found["revision"])
    after = read_coordinates(path)
    pd.testing.assert_frame_equal(after[:-1], before[1:].reset_index(drop=True), check_dtype=False)
    last = after.iloc[-1]
    # RELION repeats the last row for a new pick, and forgets what a click cannot tell
    assert (last[X], last[Y], last["word"], last["mine"]) == (11, 12, "ice", 1.5)
    assert (last["rlnAnglePsi"], last["rlnAutopickFigureOfMerit"]) == (-999, -999)


def test_nobody_overwrites_what_he_has_not_seen(client, copy, manual):
    first = read(client, manual).json()
    picks = {"labels": LABELS, "rows": [[1, 2, *first["fresh"][2:]]]}
    assert save(client, manual, picks, first["revision"]).status_code == 200
    late = save(client, manual, {"labels": LABELS, "rows": []}, first["revision"])
    assert late.status_code == 409
    assert len(read(client, manual).json()["rows"]) == 1
    assert save(client, manual, {"labels": LABELS, "rows": []}, late.json()["revision"]).status_code == 200


BAD = [
    {"labels": LABELS, "rows": [[1, 2, 3]]},
    {"labels": LABELS[1:], "rows": []},
    {"labels": [*LABELS, X], "rows": []},
    {"labels": [*LABELS, "a b"], "rows": []},
    {"labels": LABELS, "rows": [["x", 1, 2, 3, 4]]},
    {"labels": LABELS, "rows": [[None, 1, 2, 3, 4]]},
    {"labels": LABELS, "rows": [[1, 1, 2, 3, {}]]},
    {"labels": LABELS, "rows": "none"},
    {},
]


@pytest.mark.parametrize("content", BAD)
def test_what_are_no_picks_is_refused(client, copy, manual, content):
    answer = save(client, manual, content, "none")
    assert answer.status_code == 400 and answer.json()["error"]
    assert not (copy / manual / "Micrographs").exists()


def test_only_micrographs_of_the_job_have_picks(client, copy, manual):
    for name in ("../../x.mrc", "/etc/passwd", "Micrographs/none.mrc"):
        assert read(client, manual, name).status_code == 404
        assert save(client, manual, {"labels": LABELS, "rows": []}, "none", name).status_code == 404
    assert read(client, STAR).status_code == 400
    assert read(client, "ManualPick/job099").status_code == 404
    assert read(client, "/etc/hostname").status_code == 403


def test_the_selection_is_saved_as_relion_saves_it(client, copy, manual):
    where = {"source": manual}
    facts = client.get("/api/picks", params=where).json()
    body = {"revision": facts["revision"], "content": [0, 2]}
    assert client.put("/api/picks/selection", params=where, json=body).status_code == 200
    chosen = MicrographSet.read(copy / manual / "micrographs_selected.star")
    names = facts["names"]
    assert chosen.table["rlnMicrographName"].tolist() == [names[0], names[2]]
    assert len(chosen.optics) == 1
    marks = next(iter(read_star(copy / manual / "local_selection.star").values()))
    assert marks["rlnSelected"].tolist() == [1, 0, 1] and marks["rlnMicrographName"].tolist() == names
    assert client.get("/api/picks", params=where).json()["selected"] == [True, False, True]
    assert client.put("/api/picks/selection", params=where, json=body).status_code == 409
    for wrong in ([3], [-1], ["x"]):
        body = {"revision": facts["revision"], "content": wrong}
        assert client.put("/api/picks/selection", params=where, json=body).status_code == 400


def test_a_label_of_another_file_colours_picks(client, copy):
    table = pd.DataFrame(
        {
            "rlnImageName": ["1@a.mrcs", "2@a.mrcs", "3@a.mrcs"],
            "rlnMicrographName": [NAME, NAME, "Micrographs/micrograph_001.mrc"],
            X: [10.0, 50.0, 90.0],
            Y: [10.0, 50.0, 90.0],
            "rlnLogLikeliContribution": [5.0, 6.0, 7.0],
        }
    )
    write_star(copy / "parts.star", {"particles": table})
    ask = {
        "star": "parts.star",
        "label": "rlnLogLikeliContribution",
        "name": NAME,
        "places": [[50.4, 50.4], [10, 10], [90, 90]],
    }
    assert client.post("/api/picks/colours", json=ask).json()["values"] == [6, 5, None]
    assert client.post("/api/picks/colours", json={**ask, "label": "rlnNone"}).status_code == 400
    assert client.post("/api/picks/colours", json={**ask, "places": ["x"]}).status_code == 400
    assert client.post("/api/picks/colours", json={**ask, "star": "/etc/passwd"}).status_code == 403


def test_a_filtered_level_is_the_filtered_micrograph(client, copy):
    ask = {"name": NAME, "low": 40, "high": 500, "pixel": 3.54, "format": "png"}
    answer = client.get("/image/filtered", params=ask)
    image = read_image(copy / NAME).data
    wanted = images.make_level(images.band_pass(image, 3.54, 40, 500))
    found = np.asarray(Image.open(io.BytesIO(answer.content))).astype(float)
    assert found.shape == image.shape
    # filtered from 8 bits: the rounding of the first pixels is averaged away, that of the last remains
    assert np.abs(found - wanted.pixels).max() <= 3
    assert float(answer.headers["x-grey-deviation"]) == pytest.approx(wanted.deviation, rel=0.01)
    assert client.get("/image/filtered", params={**ask, "level": 3}).status_code == 400
    assert client.get("/image/filtered", params={**ask, "pixel": 0}).status_code == 400
    assert client.get("/image/filtered", params={**ask, "low": "nan"}).status_code == 400


@pytest.mark.parametrize(("low", "finest"), [(-1, 0), (0, 0), (2, 0), (20, 1), (48, 3), (1e6, 3)])
def test_levels_finer_than_the_filter_are_not_asked_for(low, finest):
    pyramid = images.make_pyramid(np.random.default_rng(1).normal(size=(4000, 300)).astype(np.float32))
    wanted = Filter(low, -1, 1.0)
    assert wanted.finest(pyramid) == finest
    if 0 < finest < 3:
        # what finer levels could show beyond this one is damped to less than 5 % of its amplitude
        nyquist = 1 / (2 * 2**finest)
        assert np.exp(-0.5 * np.log(2) * low**2 * nyquist**2) < 0.05


def test_the_spectrum_of_a_micrograph_has_its_thon_rings(client, copy, manual):
    """Of noise that a CTF has shaped, with the rings of that very CTF beside it."""
    micrographs = MicrographSet.read(copy / STAR)
    rows = ctf_rows(micrographs)
    n, side = 512, 1536
    grid = np.ascontiguousarray(frequency_grid((side, side), 3.54).reshape(-1, 2), np.float32)
    ctf = get_backend("cpu").ctf(rows[1:2], grid, 0, 2).reshape(side, side // 2 + 1)
    noise = np.random.default_rng(3).standard_normal((side, side)).astype(np.float32)
    write_stack(copy / NAME, inverse(forward(noise) * ctf, (side, side)).astype(np.float32), 3.54)
    answer = client.get("/image/ctf", params={"source": manual, "name": NAME, "format": "png"})
    picture = np.asarray(Image.open(io.BytesIO(answer.content))).astype(float)
    assert picture.shape == (n, n)
    left, right = picture[:, : n // 2], picture[:, n // 2 :]
    # point by point: frequency (-x, -y) is the mate of (x, y)
    mate = np.roll(left[::-1, ::-1], 1, axis=0)[:, : n // 2 - 1]
    here = np.hypot(signed_frequencies(n)[:, None], np.arange(1, n // 2)[None])
    ring = np.fft.fftshift((here > 20) & (here < 120), axes=0)
    matched = np.corrcoef(mate[ring], right[:, 1:][ring])[0, 1]
    assert matched > 0.5
    assert np.corrcoef(left[:, 1:][ring[:, ::-1]], right[:, 1:][ring])[0, 1] < matched
    assert n == ctf_picture.BOX_PX


def test_relions_own_picking_jobs_are_opened(shared_data, tmp_path, monkeypatch):
    """The tutorial's project, as RELION 3.1 and 5 left it."""
    for version, job in (("31", "ManualPick/job004"), ("5", "ManualPick/job006")):
        folder = Path(shutil.copytree(shared_data / f"formats/relion{version}_project", tmp_path / version))
        monkeypatch.chdir(folder)
        workspace = Workspace(folder)
        source = picking.open_source(workspace, job)
        assert source.pick_name == "manualpick" and len(source.names) > 1
        counts = picking.counts(workspace, source)
        row = next(i for i, count in enumerate(counts) if count)
        name = source.names[row]
        path = folder / source.coordinates(name)
        before = path.read_bytes()
        found = picking.picks_of(workspace, source, name)
        content = {"labels": found["labels"], "rows": found["rows"]}
        picking.save_picks(workspace, source, name, found["revision"], content)
        assert path.read_bytes() == before
        workspace.pool.shutdown()
