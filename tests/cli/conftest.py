"""The boxwood command as a process of its own, with the toy job of tests/jobs added."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import boxwood as package
from boxwood.cli import main
from boxwood.io.star import write_star
from boxwood.jobs.registry import JOBS

TOY = Path(__file__).parents[1] / "jobs/toy.py"


@pytest.fixture
def folder(tmp_path):
    """A folder with forty micrographs listed; spaces and letters of Europe in its name."""
    path = tmp_path / "Ångström & Söhne"
    path.mkdir()
    names = [f"Micrographs/mic {i:02d}.mrc" for i in range(40)]
    write_star(
        path / "my mics.star", {"micrographs": pd.DataFrame({"rlnMicrographName": names})}, dialect="3.1"
    )
    return path


@pytest.fixture
def start(folder):
    """Start `boxwood` in the folder; processes left over are ended."""
    processes = []

    def start(*words):
        source = str(Path(package.__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "error"}
        process = subprocess.Popen(
            [sys.executable, TOY, *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def boxwood(start):
    """Run `boxwood` to its end: (exit code, output, errors)."""

    def run(*words):
        process = start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    return run


@pytest.fixture
def here(folder, monkeypatch, capsys):
    """The same in this process, which is quicker."""
    sys.path.insert(0, str(TOY.parent))
    monkeypatch.chdir(folder)
    monkeypatch.setitem(JOBS, "toy", ("toy", "a toy"))

    def run(*words):
        code = main(words)
        return code, *capsys.readouterr()

    yield run
    sys.path.remove(str(TOY.parent))
