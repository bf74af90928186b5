"""The command line through real processes."""

import json
import os
import signal
import subprocess
import sys

import pytest

import boxwood as package
from boxwood.jobs.registry import JOBS
from boxwood.project.pipeline import Pipeline

MICS = ("--micrographs", "my mics.star")


def imported_by(code):
    """Return what a fresh interpreter prints and which modules it has after `code`."""
    code += "\nimport sys, json; print(); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout, set(json.loads(done.stdout.splitlines()[-1]))


def test_help_lists_every_command_and_imports_nothing_heavy():
    out, modules = imported_by("from boxwood.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert all(f"\n  {name} " in out for name in (*JOBS, "info"))
    assert not {"numpy", "pandas", "rich", "matplotlib", "boxwood._core"} & modules


@pytest.mark.parametrize("given", [None, "2"])
def test_products_of_numpy_have_one_thread_unless_told_otherwise(monkeypatch, given):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    code = "import os\nfrom boxwood.cli import main\nmain([])\nprint(os.environ['OPENBLAS_NUM_THREADS'])"
    out, modules = imported_by(code)
    assert out.splitlines()[-3] == (given or "1")
    assert "numpy" not in modules


def test_importing_the_package_imports_nothing_heavy():
    _, modules = imported_by("import boxwood")
    assert not {"numpy", "pandas", "argparse"} & modules


def test_no_command_prints_the_help(here):
    code, out, err = here()
    assert code == 2 and "commands:" in out and err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["autopik"], "boxwood: there is no command 'autopik'; did you mean autopick?\n"),
        (["toy", "--micrograph", "x"], "boxwood: --micrograph is unknown; did you mean --micrographs?\n"),
        (["toy"], "boxwood: please give micrographs (micrographs STAR file)\n"),
        (
            ["toy", "--micrographs", "none.star"],
            "boxwood: micrographs: there is no file none.star (looked in ",
        ),
        (
            ["toy", *MICS, "--resolution", "-3"],
            "boxwood: resolution is '-3'; it must be a number above 0 Å\n",
        ),
        (["toy", *MICS, "--alias", "job7"], "boxwood: alias 'job7' is not possible; "),
        (["toy", *MICS, "--threshold", "0.05"], "boxwood: threshold cannot be set: this picker has no "),
        (
            ["toy", *MICS, "--output", "x", "--alias", "y"],
            "boxwood: an alias belongs to a job of a project; ",
        ),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(here, folder, words, said):
    code, out, err = here(*words)
    assert code == 2
    assert err.startswith(said) and err.count("\n") == 1
    assert out == ""
    assert os.listdir(folder) == ["my mics.star"]


def test_a_file_that_cannot_be_read_is_one_sentence_and_code_1(here):
    code, out, err = here("simulate", "new", "--volume", "missing.mrc")
    assert code == 1 and err.splitlines()[-1].startswith("boxwood: ") and "missing.mrc" in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("command", ["simulate", "demo"])
def test_jobs_with_a_directory_take_no_output(here, command):
    code, _, err = here(command, "new", "--output", "x")
    assert code == 2 and "--output is unknown" in err


def test_a_job_from_the_shell(boxwood, folder):
    code, out, err = boxwood("toy", *MICS, "--alias", "erste Wahl", "--threads", "2")
    assert code == 0, err
    assert "micrographs: 40 of 40\n40 measured\nwrote AutoPick/job001/coords_suffix_autopick.star\n" in out
    begins = f"a new project begins in {folder}\n"
    assert begins + (folder / "AutoPick/job001/run.out").read_text() == out
    assert (folder / "AutoPick/job001/run.err").read_text().endswith(err)
    assert (folder / "AutoPick/erste_Wahl/RELION_JOB_EXIT_SUCCESS").exists()
    star = folder / "AutoPick/job001/Micrographs/mic 07_toy.star"
    assert '"Micrographs/mic 07.mrc"' in star.read_text()


def test_json_events(boxwood):
    code, out, _ = boxwood("toy", *MICS, "--json", "--output", "out")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    kinds = [event["event"] for event in events if event["event"] != "progress"]
    assert kinds == ["start", "trace", "warning", "result", "end"]
    assert [e["done"] for e in events if e["event"] == "progress"] == list(range(1, 41))
    assert "no ink" in events[-4]["text"]
    assert events[-2]["files"] == {"coordinates": "out/coords_suffix_autopick.star"}
    assert events[-1]["status"] == "Succeeded"


def test_json_errors_are_events_too(here):
    code, out, _ = here("toy", *MICS, "--json", "--resolution", "x")
    assert code == 2
    assert json.loads(out)["text"] == "resolution is 'x'; it must be a number above 0 Å"


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--fail", "boxwood: this job was told to fail\n"),
        ("--crash", "ZeroDivisionError: one over nothing\n"),
    ],
)
def test_a_failed_job_is_code_1(boxwood, folder, flag, said):
    code, _, err = boxwood("toy", *MICS, flag)
    assert code == 1 and err.endswith(said)
    assert (folder / "AutoPick/job001/RELION_JOB_EXIT_FAILURE").exists()


@pytest.mark.parametrize(
    ("stop", "place"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--output", "some where"))]
)
def test_stopping_leaves_whole_files_and_says_how_to_go_on(boxwood, folder, stop, place):
    output = folder / (place[-1] if place else "AutoPick/job001")
    code, _, err = boxwood("toy", *MICS, "--stop", str(int(stop)), "--threads", "2", *place)
    assert code == 130
    made = sorted(output.rglob("mic*"))
    assert 0 < len(made) < 40
    assert all(path.suffix == ".star" and path.stat().st_size for path in made)
    if place:
        words = [*MICS, *place, "--continue"]
        assert err.endswith(f"--stop {int(stop)} --output 'some where' --continue\n")
    else:
        words = ["--continue", "AutoPick/job001", "--stop", "0"]
        assert err.endswith("Go on with: boxwood toy --continue AutoPick/job001/\n")
        assert (output / "RELION_JOB_EXIT_ABORTED").exists()
    assert boxwood("toy", *words)[0] == 0
    assert len(list(output.rglob("mic*"))) == 40


def test_jobs_started_at_once_get_their_own_folders(start, folder):
    processes = [start("toy", *MICS) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 3
    pipeline = Pipeline.read(folder / "default_pipeline.star")
    assert sorted(pipeline.tables["pipeline_processes"]["rlnPipeLineProcessName"]) == [
        f"AutoPick/job00{i}/" for i in (1, 2, 3)
    ]
    assert list(pipeline.tables["pipeline_processes"]["rlnPipeLineProcessStatus"]) == [2] * 3
    assert pipeline.counter == 4


def test_info(boxwood, here):
    code, out, _ = boxwood("info", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["SIMD chosen"].split()[0] in facts["SIMD compiled"]
    assert set(facts) >= {"boxwood", "python", "libraries", "threads", "CUDA", "SIMD runnable", "cluster"}
    assert "SIMD chosen" in here("info")[1]


def test_version_and_help_of_a_job(boxwood):
    assert boxwood("--version")[1] == f"boxwood {package.__version__}\n"
    code, out, _ = boxwood("toy", "--help")
    assert code == 0
    assert "--resolution A" in out and "finest detail (default: 20 Å)" in out
    assert "--fail, --no-fail" in out and "--threshold" not in out


def test_the_page_needs_a_folder_and_its_packages(here, monkeypatch):
    code, _, errors = here("ui", "nowhere")
    assert (code, errors.count("nowhere is no folder")) == (2, 1)
    assert here("ui", "--port", "99999")[0] == 2
    monkeypatch.setattr("boxwood.cli.ui.find_spec", lambda name: None)
    code, _, errors = here("ui")
    assert code == 2
    assert "pip install 'boxwood[ui]'" in errors
