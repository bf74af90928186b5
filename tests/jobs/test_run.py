"""The main job and the demonstration, small but whole."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwood.class2d.selection import ClassScores
from boxwood.errors import InputError, JobAborted
from boxwood.io.mrc import read_stack
from boxwood.io.star import read_star, write_star
from boxwood.jobs.api import Project
from boxwood.jobs.simulate import simulate_project

DIAMETERS = {"min_diameter": 150, "max_diameter": 180}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Two small, clear micrographs of 3.54 A/px."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate_project(
        folder, micrographs=2, width=700, height=640, pixel_size=3.54, particles=50, snr=0.5, seed=3
    )
    return folder


@pytest.fixture
def project(simulated, tmp_path, monkeypatch):
    (tmp_path / "Micrographs").symlink_to(simulated / "Micrographs")
    (tmp_path / "micrographs_ctf.star").write_bytes((simulated / "micrographs_ctf.star").read_bytes())
    monkeypatch.chdir(tmp_path)
    return Project()


class Heard:
    def __init__(self):
        self.events = []

    def event(self, kind, **data):
        self.events.append((kind, data))

    def text(self, kind):
        return " ".join(str(data.get("text")) for heard, data in self.events if heard == kind)


def test_everything_derived_from_the_diameter(project):
    Path("report").mkdir()  # of an earlier run
    result = project.run(micrographs="micrographs_ctf.star", iterations=4, min_score=0.2, **DIAMETERS)
    names = [row.rlnPipeLineProcessName for row in processes()]
    assert names == ["AutoPick/job001/", "Extract/job002/", "Class2D/job003/", "Select/job004/"]
    assert {row.rlnPipeLineProcessStatus for row in processes()} == {2}
    picks, particles = result.values["autopick picks"], result.tables["extract particles"]
    assert 80 <= len(particles) <= picks
    optics = read_star("Extract/job002/particles.star")["optics"]
    assert optics["rlnImageSize"][0] == 64  # 1.25 diameters of 3.54 A pixels, which are coarse enough
    model = read_star(result.files["class2d model"])
    assert len(model["model_classes"]) == len(particles) // 40
    optimiser = read_star("Class2D/job003/run_it004_optimiser.star")["optimiser_general"]
    assert optimiser["rlnParticleDiameter"] == 200
    templates = read_stack("Select/job004/class_averages.mrcs")
    assert templates.shape == (result.values["select-classes classes"], 64, 64)
    assert np.isfinite(templates[:]).all()
    assert result.files["report"] == Path("report002/index.html") and not any(Path("report").iterdir())
    page = result.files["report"].read_text()
    assert "boxwood autopick --micrographs micrographs_ctf.star" in page
    pictures = {path.name for path in result.files["report"].parent.glob("*.png")}
    assert any(name.endswith("class_selection.png") for name in pictures)
    assert all(name in page for name in pictures)
    assert "<th>reasons</th>" in page


def processes():
    return list(read_star("default_pipeline.star")["pipeline_processes"].itertuples())


def test_given_sizes_and_a_folder_without_books(project, tmp_path):
    result = project.run(
        micrographs="micrographs_ctf.star",
        output="out",
        box_size=72,
        rescale=48,
        classes=2,
        mask_diameter=190,
        iterations=2,
        min_score=0.0,
        clean=True,
        **DIAMETERS,
    )
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert {"autopick", "extract", "class2d", "report"} <= folders
    assert not (tmp_path / "default_pipeline.star").exists()
    assert read_star(result.files["extract particles"])["optics"]["rlnImageSize"][0] == 48
    assert len(read_star(result.files["class2d model"])["model_classes"]) == 2
    cleaned = len(read_star(result.files["select-particles particles"])["particles"])
    assert 0 < cleaned == result.values["select-particles particles"]
    assert "<th>removed because</th>" in result.files["report"].read_text()


def test_scores_that_say_nothing(project, monkeypatch):
    heard = Heard()
    project.reporter = heard
    none = pd.DataFrame({"contrast": [np.nan] * 2}, index=[1, 2])
    nothing = ClassScores(np.zeros(2), none, none)
    monkeypatch.setattr("boxwood.class2d.selection.score_classes", lambda files: nothing)
    result = project.run(
        micrographs="micrographs_ctf.star", output="out", classes=2, iterations=1, **DIAMETERS
    )
    assert "Every class has a score of 0" in heard.text("warning")
    assert "boxwood select-classes --model out/class2d/run_it001_model.star --classes" in heard.text(
        "warning"
    )
    assert result.files["report"].is_file() and "select-classes particles" not in result.files


def test_without_ctf(project):
    heard = Heard()
    project.reporter = heard
    tables = read_star("micrographs_ctf.star")
    bare = tables["micrographs"][["rlnMicrographName", "rlnOpticsGroup"]]
    optics = tables["optics"][["rlnOpticsGroup", "rlnOpticsGroupName", "rlnMicrographPixelSize"]]
    write_star("bare.star", {"optics": optics, "micrographs": bare})
    result = project.run(micrographs="bare.star", output="out", classes=2, iterations=1, **DIAMETERS)
    assert "has no CTF parameters" in heard.text("warning")
    assert result.values["select-classes classes"] >= 1


def test_refusals(project):
    with pytest.raises(InputError, match="exchange them"):
        project.run(micrographs="micrographs_ctf.star", min_diameter=200, max_diameter=100)
    with pytest.raises(InputError, match="no file nothing"):
        project.run(micrographs="nothing.star", **DIAMETERS)


def test_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = Project().demo(micrographs=2, particles=24, width=2048, height=2048, iterations=2)
    assert (tmp_path / "boxwood-demo" / "report" / "index.html").is_file()
    assert result.values["recall picked"] > 0.5
    assert len(result.tables["truth"]) == 48
    with pytest.raises(InputError, match="is there already"):
        Project().demo()


def test_iterating_picks_again_with_the_class_averages(project):
    """Eight jobs of the project; what was done is taken over, and what was stopped gone on with."""
    given = {**DIAMETERS, "micrographs": "micrographs_ctf.star", "iterations": 4, "min_score": 0.0}
    first = project.run(**given)
    result = project.run(**given, iterate=True, resume=True)
    kinds = [row.rlnPipeLineProcessName.split("/")[0] for row in processes()]
    assert kinds == ["AutoPick", "Extract", "Class2D", "Select"] * 2
    settings = read_star("AutoPick/job005/job.star")["joboptions_values"]
    told = dict(zip(settings["rlnJobOptionVariable"], settings["rlnJobOptionValue"], strict=True))
    assert told["fn_refs_autopick"] == "Select/job004/class_averages.star"
    assert abs(result.values["autopick picks"] - 100) < min(10, abs(first.values["autopick picks"] - 100))
    again = project.run(**given, iterate=True, resume=True)
    assert len(processes()) == 8
    assert len(again.tables["extract particles"]) == len(result.tables["extract particles"])
    pages = [run.files["report"].read_text() for run in (result, again)]
    reasons = [re.findall(r"reasons</th>.*?</tbody>", page) for page in pages]  # why classes were
    assert len(reasons[0]) == 2 and reasons[0] == reasons[1]


def test_iterating_needs_a_project(project):
    with pytest.raises(InputError, match="leave out output"):
        project.run(**DIAMETERS, micrographs="micrographs_ctf.star", iterate=True, output="out")


class Stops(Heard):
    """Stops in the middle of a classification."""

    def event(self, kind, **data):
        super().event(kind, **data)
        started = [told["job"] for heard, told in self.events if heard == "start"]
        if kind == "progress" and started[-1:] == ["class2d"] and data["done"] >= 2:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_where_it_was(project):
    given = {**DIAMETERS, "micrographs": "micrographs_ctf.star", "iterations": 4, "classes": 2}
    project.reporter = Stops()
    with pytest.raises(JobAborted):
        project.run(**given, min_score=0.0)
    assert [row.rlnPipeLineProcessStatus for row in processes()] == [2, 2, 4]
    project.reporter = Heard()
    project.run(**given, min_score=0.0, resume=True)
    assert [row.rlnPipeLineProcessStatus for row in processes()] == [2, 2, 2, 2]
    assert "done already in Extract/job002/" in project.reporter.text("log")
    Path("report/index.html").unlink()  # as if it had been killed in the middle of its report
    left = Path("report/.picture.png.0123abcd.tmp")
    left.touch()
    result = project.run(**given, min_score=0.0, resume=True)
    assert result.files["report"] == Path("report/index.html") and not left.exists()
