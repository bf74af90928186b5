"""Every job records what it was made with, and can be repeated and compared."""

import json

import numpy as np
import pytest
from small import BOXES, CLASSES, PICK

import boxwood
from boxwood.backends import cpu_status, use_simd
from boxwood.cli.command import main
from boxwood.errors import FileFormatError, InputError
from boxwood.io.checksums import SAMPLED_ABOVE_BYTES, changed, checksum
from boxwood.jobs.api import Project
from boxwood.jobs.rerun import rerun_job
from boxwood.project.job_files import Kept


def run_of(folder):
    return Kept.read(folder).runs[-1]


class Warnings:
    def __init__(self):
        self.said = []

    def event(self, kind, **data):
        if kind == "warning":
            self.said.append(data["text"])


@pytest.mark.parametrize("job", ["AutoPick/job001", "Extract/job002", "Class2D/job003", "."])
def test_what_is_recorded(whole, job):
    kept = Kept.read(whole / job)
    (run,) = kept.runs
    assert run["version"] == boxwood.__version__ and run["status"] == "Succeeded" and run["threads"] == 2
    assert run["simd"] == cpu_status()["chosen"][0] and run["machine"]["processor"]
    assert run["backends"] == ([] if job == "." else ["cpu"])
    assert run["began"] <= run["ended"] and run["libraries"]["numpy"] == np.__version__
    assert "seed" in kept.options


def test_inputs_are_recorded_with_what_they_name(whole):
    def inputs(job):
        return set(run_of(whole / job)["inputs"])

    micrographs = {f"Micrographs/micrograph_00{i}.mrc" for i in (1, 2, 3)}
    assert inputs("AutoPick/job001") == {"micrographs_ctf.star", *micrographs}
    picks = {f"AutoPick/job001/{name[:-4]}_autopick.star" for name in micrographs}
    assert inputs("Extract/job002") == {"micrographs_ctf.star", *micrographs, *picks}
    stacks = {f"Extract/job002/{name}s" for name in micrographs}
    assert inputs("Class2D/job003") == {"Extract/job002/particles.star", *stacks}
    found = run_of(whole / "Class2D/job003")["inputs"]["Extract/job002/particles.star"]
    assert found == checksum(whole / "Extract/job002/particles.star")


@pytest.mark.parametrize("job", ["AutoPick/job001", "Extract/job002", "Class2D/job003", "."])
def test_every_job_is_repeated_to_the_bit(copy, job):
    before = set(copy.rglob("*"))
    warnings = Warnings()
    repetition = rerun_job(job, project=copy, threads=1, reporter=warnings)
    assert repetition.differences == {} and repetition.files >= 3 and repetition.output is None
    assert warnings.said == []
    assert set(copy.rglob("*")) == before


def test_selections_and_folders_of_the_users_choice(copy, monkeypatch, capsys):
    monkeypatch.chdir(copy)
    project = Project()
    project.select_classes(model="Class2D/job003/run_it003_model.star", classes=(1,), alias="best")
    assert main(["rerun", "Select/best"]) == 0
    assert "Select/job004" not in capsys.readouterr().err
    project.job("extract", output="cut out", **BOXES | {"coordinates": "AutoPick/job001"})
    assert main(["rerun", "cut out", "--output", "again", "--threads", "2"]) == 0
    assert "all 7 files of results are the same" in capsys.readouterr().out
    assert (copy / "again/particles.star").exists()
    with pytest.raises(InputError, match="again is not empty"):
        rerun_job("cut out", output="again")


def test_a_continued_job_is_repeated_at_one_go(copy):
    project = Project(copy, threads=2)
    particles = "Extract/job002/particles.star"
    project.class2d(particles=particles, **CLASSES | {"iterations": 1})
    project.class2d(continue_from="Class2D/job004", iterations=3)
    warnings = Warnings()
    found = rerun_job("4", project=copy, reporter=warnings).differences
    (said,) = warnings.said
    assert "continued with other iterations" in said
    assert "run_it001_optimiser.star" in found  # it was to be the last
    first, second = Kept.read(copy / "Class2D/job004").runs
    assert "inputs" not in first and particles in second["inputs"]


def test_another_result_is_named_with_its_files(copy, monkeypatch, capsys):
    """And the repetition is kept to look at."""
    monkeypatch.chdir(copy)
    star = copy / "AutoPick/job001/Micrographs/micrograph_002_autopick.star"
    lines = star.read_text().rstrip().splitlines()
    star.write_text("\n".join([*lines[:-1], lines[-1].replace(".", ".1", 1)]) + "\n")
    (copy / "AutoPick/job001/extra.star").write_text("data_\n")
    assert main(["rerun", "AutoPick/job001", "--json"]) == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = events[-1]
    assert set(last["different"]) == {"Micrographs/micrograph_002_autopick.star", "extra.star"}
    assert "1 of " in last["different"]["Micrographs/micrograph_002_autopick.star"]
    assert last["different"]["extra.star"] == "was not made again"
    assert len(list(copy.glob("rerun_*/Micrographs/*_autopick.star"))) == 3


def test_changed_inputs_stacks_and_versions_are_told(copy):
    from boxwood.io.mrc import read_stack, write_stack

    stack = copy / "Extract/job002/Micrographs/micrograph_001.mrcs"
    write_stack(stack, -read_stack(stack)[:], 7.08)
    settings = copy / "Class2D/job003/.boxwood.json"
    settings.write_text(settings.read_text().replace(f'"{boxwood.__version__}"', '"0.0.1"'))
    warnings = Warnings()
    found = rerun_job("Class2D/job003", project=copy, reporter=warnings).differences
    assert "classes.mrcs" in " ".join(found) and "values differ by at most" in found["run_it003_classes.mrcs"]
    assert any("made with boxwood 0.0.1" in text for text in warnings.said)
    assert any("micrograph_001.mrcs has other contents" in text for text in warnings.said)


def test_the_recorded_instruction_set_is_used(copy):
    """Or it is said that it cannot be."""
    chosen = cpu_status()["chosen"][0]
    try:
        assert use_simd("baseline")
        Project(copy).autopick(**PICK)
    finally:
        use_simd(chosen)
    assert run_of(copy / "AutoPick/job004")["simd"] == "baseline"
    assert rerun_job("4", project=copy).differences == {}
    assert cpu_status()["chosen"][0] == chosen
    settings = copy / "AutoPick/job004/.boxwood.json"
    settings.write_text(settings.read_text().replace('"baseline"', '"avx9000"'))
    warnings = Warnings()
    rerun_job("4", project=copy, output="again", reporter=warnings)
    assert any("avx9000, which does not run here" in text for text in warnings.said)


def test_what_cannot_be_repeated(copy, toy):
    with pytest.raises(InputError, match="no job of the project"):
        rerun_job("9", project=copy)
    settings = copy / "AutoPick/job001/.boxwood.json"
    whole = settings.read_text()
    settings.write_text(whole.replace("Succeeded", "Failed"))
    with pytest.raises(InputError, match="its last run is failed"):
        rerun_job("1", project=copy)
    settings.write_text(json.dumps({**json.loads(whole), "job": "live"}))
    with pytest.raises(InputError, match="its classes depend on when micrographs came"):
        rerun_job("1", project=copy)  # it would wait for micrographs for ever
    settings.write_text(whole[:-20])
    with pytest.raises(FileFormatError, match=r"job001/\.boxwood\.json is damaged"):
        rerun_job("1", project=copy)
    settings.unlink()
    with pytest.raises(InputError, match=r"AutoPick/job001/\.boxwood\.json records no run"):
        rerun_job("AutoPick/job001", project=copy)
    assert not list(copy.glob("rerun_*"))


def test_large_images_are_sampled(tmp_path):
    path = tmp_path / "a.mrc"
    path.write_bytes(bytes(SAMPLED_ABOVE_BYTES + 1000))
    whole, samples = checksum(path), checksum(path, sampled=True)
    assert set(whole) == {"bytes", "sha256"} and set(samples) == {"bytes", "sha256_of_samples"}
    assert not changed(path, whole) and not changed(path, samples)
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"1")
    assert changed(path, whole) == changed(path, samples) == "has other contents"
    path.write_bytes(b"1")
    assert changed(path, samples) == f"has 1 bytes, no longer {SAMPLED_ABOVE_BYTES + 1000}"
    path.unlink()
    assert "cannot be read (No such file" in changed(path, samples)
