"""A toy job in a small project, and a microscope."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the registry finds the toy job by its module's name


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project folder with three micrographs, as the current folder; spaces and letters of Europe."""
    folder = tmp_path / "my projéct 1"
    folder.mkdir()
    import toy

    toy.write_micrographs(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def toy(monkeypatch):
    """The toy job, in the registry."""
    import toy

    monkeypatch.setitem(toy.JOBS, "toy", ("toy", "a toy"))
    return toy.JOB


@pytest.fixture
def microscope(tmp_path, monkeypatch):
    """A microscope that writes into the current folder, and whose clock is that of `live`."""
    from microscope import FastClock, Microscope

    monkeypatch.chdir(tmp_path)
    made = Microscope()
    made.clock = FastClock(time.time())
    monkeypatch.setattr("boxwood.jobs.live.run.Clock", lambda: made.clock)
    return made
