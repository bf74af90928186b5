"""The engineer of a facility: `boxwood run` and `live` in scripts, over a project with faults in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import boxwood as package
from boxwood.io.mrc import write_stack
from boxwood.io.star import read_star, write_star
from boxwood.jobs.simulate import simulate_project
from boxwood.project.folder import ProjectFolder

SIZE = ("--min-diameter", "150", "--max-diameter", "180", "--threads", "1")
RUN = ("run", "--micrographs", "micrographs_ctf.star", *SIZE, "--classes", "2", "--min-score", "0")
CUT, EMPTY = "Micrographs/micrograph_002.mrc", "Micrographs/micrograph_003.mrc"
FITTED_BADLY = "Micrographs/größe 4 (neu).mrc"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Five small micrographs: one cut off, one of NaN, one with spaces and umlauts whose CTF fit failed."""
    folder = tmp_path_factory.mktemp("raid") / "Müller & Co"
    simulate_project(
        folder, micrographs=5, width=640, height=600, pixel_size=3.54, particles=40, snr=0.5, seed=3
    )
    cut = folder / CUT
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_stack(folder / EMPTY, np.full((600, 640), np.nan, np.float32), 3.54)
    tables = read_star(folder / "micrographs_ctf.star")
    rows = tables["micrographs"]
    (folder / rows.loc[3, "rlnMicrographName"]).rename(folder / FITTED_BADLY)
    rows.loc[3, "rlnMicrographName"] = FITTED_BADLY
    rows.loc[3, "rlnDefocusU"] = np.nan
    write_star(folder / "micrographs_ctf.star", tables)
    return folder


@pytest.fixture
def project(session, tmp_path):
    return Path(shutil.copytree(session, tmp_path / session.name))


def start(folder, *words, **more):
    """A process without terminal, HOME or locale, as cron starts it."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(package.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-m", "boxwood", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, **more
    )


def boxwood(folder, *words):
    """Exit code, output and errors."""
    process = start(folder, *words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out.decode(), err.decode()


def statuses(folder):
    jobs = ProjectFolder(folder).pipeline().jobs()
    return {job.name: job.status for job in jobs}


def test_a_run_over_faults_tells_programs_what_it_left_out(project):
    code, out, err = boxwood(project, *RUN, "--iterations", "2", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and err == ""
    assert events[-1]["event"] == "end" and events[-1]["status"] == "Succeeded"
    bad = {event["name"]: event["reason"] for event in events if event["event"] == "bad"}
    assert bad[CUT].startswith("it is truncated") and "not finite" in bad[EMPTY]
    results = [event for event in events if event["event"] == "result"]
    assert results[0]["output"] == "AutoPick/job001/" and results[0]["left_out"] == 2
    warnings = [event["text"] for event in events if event["event"] == "warning"]
    assert any("1 micrograph has CTF parameters that are no numbers" in text for text in warnings)
    # hundreds of particles are left out for one reason, which is said once
    (last,) = [text for text in warnings if "inputs left out" in text and "CTF" in text]
    assert last.count("make no sense") == 1
    assert Path(project, results[-1]["files"]["report"]).is_file()
    code, out, _ = boxwood(project, "project", "--json")
    assert code == 0 and {job["status"] for job in json.loads(out)} == {"Succeeded"}
    code, out, _ = boxwood(project, "rerun", "AutoPick/job001")
    assert code == 0 and "are the same" in out


def test_a_killed_run_goes_on_and_a_stopped_one_says_how(project):
    long = (*RUN, "--iterations", "200")

    def classifying():
        """A run that is in the middle of its classification."""
        process = start(project, *long, "--resume")
        assert any(line.startswith(b"iteration ") for line in process.stdout)
        return process

    killed = classifying()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert "Running" in statuses(project).values()
    stopped = classifying()
    stopped.send_signal(signal.SIGTERM)
    _, err = stopped.communicate(timeout=300)
    assert stopped.returncode == 130
    assert err.decode().strip().endswith("or with all that follows by the same command and --resume")
    assert list(statuses(project)) == ["AutoPick/job001/", "Extract/job002/", "Class2D/job003/"]


def test_two_at_once_make_two_jobs(project):
    words = ("autopick", "--micrographs", "micrographs_ctf.star", *SIZE)
    both = [start(project, *words) for _ in range(2)]
    for process in both:
        process.communicate(timeout=300)
    assert [process.returncode for process in both] == [0, 0]
    assert statuses(project) == {"AutoPick/job001/": "Succeeded", "AutoPick/job002/": "Succeeded"}


def test_output_elsewhere_by_absolute_and_relative_paths(project, tmp_path):
    micrographs = str(project / "micrographs_ctf.star")
    words = ("autopick", *SIZE, "--micrographs")
    assert boxwood(tmp_path, *words, micrographs, "--output", "aus gabe")[0] == 0
    assert boxwood(project, *words, "micrographs_ctf.star", "--output", str(tmp_path / "other"))[0] == 0
    one, other = (read_star(tmp_path / name / "summary.star") for name in ("aus gabe", "other"))
    assert one.keys() == other.keys() and not (tmp_path / "default_pipeline.star").exists()
    code, out, _ = boxwood(tmp_path, *words, micrographs)  # somebody forgot `cd`
    assert code == 0 and out.splitlines()[0] == f"a new project begins in {tmp_path}"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "--micrographs", "nix.star", *SIZE), 2, "there is no file nix.star"),
        ((*RUN, "--boxsize", "64"), 2, "did you mean --box-size?"),
        (("rerun", "AutoPick/job009"), 2, "AutoPick/job009"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_code(session, words, code, said):
    found, out, err = boxwood(session, *words)
    assert (found, out) == (code, "") and said in err and err.count("\n") == 1


def test_closed_output_is_no_failure(project):
    shell = 'exec "$0" -m boxwood autopick --micrographs micrographs_ctf.star "$@" <&- >&- 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    done = subprocess.run(["sh", "-c", shell, sys.executable, *SIZE], cwd=project, env=environment)
    assert done.returncode == 0
    assert "left out" in (project / "AutoPick/job001/run.err").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(project):
    project.chmod(0o555)
    try:
        code, _, err = boxwood(project, *RUN, "--iterations", "2")
    finally:
        project.chmod(0o755)
    assert code == 2 and str(project) in err


def test_live_takes_what_is_good_and_names_the_rest(project):
    watch = ("live", "--watch", "Micrographs/*.mrc", *SIZE, "--classes", "2", "--begin-with", "40")
    words = ("--settle", "0", "--poll", "0.2", "--stop-after", "0.02", "--mini-batches", "10")
    code, _, err = boxwood(project, *watch, *words)
    assert code == 0
    table = read_star(project / "Class2D/job001/live.star")["live_micrographs"]
    states = dict(zip(table["rlnMicrographName"], table["bwLiveState"], strict=True))
    assert states[CUT] == states[EMPTY] == "bad" and states[FITTED_BADLY] == "done"
    assert CUT in err and EMPTY in err
