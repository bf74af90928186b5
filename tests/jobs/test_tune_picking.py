"""Settings of autopick found by classification, small but whole."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from boxwood.errors import InputError, JobAborted
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_image, write_stack
from boxwood.io.particles import MicrographSet
from boxwood.io.star import read_star, write_star
from boxwood.jobs import tuning_judgement
from boxwood.jobs.api import Project
from boxwood.jobs.simulate import simulate_project
from boxwood.jobs.tune_picking import tuned_options
from boxwood.jobs.tuning_choice import choose
from boxwood.jobs.tuning_peaks import LogPicker
from boxwood.picking.agreement import Agreement, agreement
from boxwood.picking.tuning import Particles

PIXEL = 3.54
ASKED = {"micrographs": "micrographs_ctf.star", "particle_diameter": 165, "tune_on": 1}
TRIED = {"min_diameter": 140, "max_diameter": 190}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Fewer classes and iterations, which do for a hundred places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning_judgement, "ITERATIONS", 8)
        patch.setattr(tuning_judgement, "CLASSES", 6)
        yield


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Three small, clear micrographs."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate_project(
        folder, micrographs=3, width=540, height=500, pixel_size=PIXEL, particles=28, snr=0.4, seed=5
    )
    return folder


def begin(folder, simulated):
    (folder / "Micrographs").symlink_to(simulated / "Micrographs")
    (folder / "micrographs_ctf.star").write_bytes((simulated / "micrographs_ctf.star").read_bytes())


@pytest.fixture(scope="module")
def tuned(simulated, tmp_path_factory):
    """A folder, and what tuning found in it."""
    folder = tmp_path_factory.mktemp("tuned")
    begin(folder, simulated)
    return folder, Project(folder, threads=2).tune_picking(**ASKED, **TRIED)


@pytest.fixture
def project(simulated, tmp_path, monkeypatch):
    begin(tmp_path, simulated)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: file.write(b"not drawn"))
    return Project(threads=2)


def truth(simulated):
    table = read_star(simulated / "truth.star")["particles"]
    return {
        name: rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
        for name, rows in table.groupby("rlnMicrographName")
    }


def f1(simulated, folder, numbers):
    known, total = truth(simulated), Agreement()
    for i in numbers:
        picks = read_coordinates(folder / f"Micrographs/micrograph_{i:03d}_autopick.star")
        xy = picks[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
        total += agreement(xy, known[f"Micrographs/micrograph_{i:03d}.mrc"], 165 / 4 / PIXEL)
    return 2 * total.matched / (total.picks + total.particles)


def best_possible(simulated):
    """The F1 of the best of all settings on the first micrograph, with the truth in view."""
    name, places = next(iter(truth(simulated).items()))
    picker = LogPicker(np.geomspace(140, 190, 3), {"micrographs": "any.star"})
    lists = {name: picker.peaks(read_image(simulated / name).data, name, PIXEL)}
    choice = choose(picker, lists, {name: Particles(*places.T * PIXEL, np.ones(len(places)))}, 165 / 4)
    return choice.curve.f1[choice.best]


def test_tuned_settings_are_better_than_none_where_they_were_not_tuned(tuned, simulated):
    folder, result = tuned
    project = Project(folder, threads=2)
    used = [path.name for path in sorted(result.output.rglob("micro*_autopick.star"))]
    assert used == ["micrograph_001_autopick.star"]
    chosen = tuned_options(result.files["tuned"])
    picked = project.autopick(**chosen)
    # What tuning cut from its list is what the job picks.
    for name in used:
        tuned, again = (read_coordinates(next(f.rglob(name))) for f in (result.output, picked.output))
        for axis in ("rlnCoordinateX", "rlnCoordinateY"):
            np.testing.assert_allclose(tuned[axis], again[axis], atol=1e-3)
    usual = project.autopick(micrographs="micrographs_ctf.star", min_diameter=148, max_diameter=182)
    apart = f1(simulated, picked.output, [2, 3])
    assert apart > 0.8
    assert apart >= f1(simulated, usual.output, [2, 3])
    assert f1(simulated, result.output, [1]) > best_possible(simulated) - 0.05
    assert 0.4 < result.values["f1"] < 1
    compared = read_star(result.files["compared"])["boxwood_tuning"]
    assert (np.diff(compared["bwF1"]) <= 0).all()
    page = result.files["report"].read_text()
    assert "was not drawn" not in page
    assert "boxwood autopick --micrographs micrographs_ctf.star" in page
    with pytest.raises(InputError, match="tune-picking"):
        tuned_options(result.files["compared"])


@pytest.mark.parametrize("diameter_px", [12.5, 17.5, 22.1, 80.0, 186.4])
def test_offsets_reach_as_far_in_any_box(diameter_px):
    box, rescaled, offset_range = tuning_judgement.sizes(diameter_px)
    assert rescaled <= box
    assert offset_range * box / rescaled == pytest.approx(0.3 * diameter_px, rel=0.05)


def test_adaptive_with_a_damaged_micrograph(project, simulated):
    names = MicrographSet.read("micrographs_ctf.star")
    first = names.table["rlnMicrographName"][0]
    (folder := project.path / "Damaged").mkdir()
    (folder / "a.mrc").write_bytes(b"no micrograph")
    names.table["rlnMicrographName"] = names.table["rlnMicrographName"].replace(first, "Damaged/a.mrc")
    names.write("damaged.star")
    asked = {**ASKED, "micrographs": "damaged.star", "method": "adaptive", "tune_on": 2}
    result = project.tune_picking(**asked)
    assert [name for name, _ in result.bad] == ["Damaged/a.mrc"]
    chosen = tuned_options(result.files["tuned"])
    assert chosen["method"] == "adaptive"
    assert 0 < chosen["max_local_fdr"] < 1
    picked = project.autopick(**{**chosen, "micrographs": "micrographs_ctf.star"})
    assert f1(simulated, picked.output, [2, 3]) > 0.9


class StopsIn:
    """Asks the job to stop when it says this."""

    def __init__(self, words, folder):
        self.words, self.folder, self.heard = words, folder, []

    def event(self, kind, **data):
        self.heard.append(str(data.get("text")))
        if self.words in self.heard[-1]:
            (self.folder / "RELION_JOB_ABORT_NOW").touch()


def test_goes_on_where_it_was_stopped(project, tuned):
    listener = StopsIn("iteration 5:", project.path / "AutoPick/job001")
    with pytest.raises(JobAborted, match="AutoPick/job001"):
        Project(threads=2, reporter=listener).tune_picking(**ASKED, **TRIED)
    first = "AutoPick/job001/candidates/class2d/run_it004_model.star"
    before = (project.path / first).read_bytes()
    listener = StopsIn("never said", project.path)
    result = Project(threads=2, reporter=listener).tune_picking(continue_from="AutoPick/job001")
    assert any("extract: done already" in text for text in listener.heard)
    assert (project.path / first).read_bytes() == before
    undisturbed = tuned[1].files["tuned"]
    assert json.loads(result.files["tuned"].read_text()) == json.loads(undisturbed.read_text())


def test_run_uses_what_was_tuned(project):
    result = project.run(
        micrographs="micrographs_ctf.star",
        min_diameter=150,
        max_diameter=180,
        tune=True,
        iterations=1,
        classes=2,
        min_score=0.1,
    )
    chosen = tuned_options(result.files["tune-picking tuned"])
    page = result.files["report"].read_text()
    assert f"--threshold-offset {chosen['threshold_offset']}" in page
    with pytest.raises(InputError, match="threshold_offset"):
        project.run(micrographs="a.star", min_diameter=1, max_diameter=2, tune=True, threshold_offset=1)


def test_micrographs_with_nothing_on_them(project, tmp_path):
    image = np.random.default_rng(1).standard_normal((500, 500)).astype(np.float32)
    write_stack(tmp_path / "empty.mrc", image, PIXEL)
    micrographs = MicrographSet.read("micrographs_ctf.star").select(slice(0, 1))
    micrographs.table["rlnMicrographName"] = "empty.mrc"
    write_star("empty.star", {"optics": micrographs.optics, "micrographs": micrographs.table})
    listener = StopsIn("never said", tmp_path)
    Project(threads=2, reporter=listener).tune_picking(
        micrographs="empty.star", particle_diameter=165, **TRIED
    )
    assert any("look like particles" in text for text in listener.heard)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_diameter": 100}, "both"),
        ({"min_diameter": 100, "max_diameter": 90}, "exchange"),
        ({"tune_on": 0}, "tune_on"),
    ],
)
def test_wrong_options(project, values, words):
    with pytest.raises(InputError, match=words):
        project.tune_picking(micrographs="micrographs_ctf.star", **values)
