"""A toy job in a small project."""

import shutil
import sys
from pathlib import Path

import pytest

from boxwood.jobs.api import Project

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


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A project with picks, particles and classes, to be copied by `copy`; see small.py for its options."""
    import small

    folder = tmp_path_factory.mktemp("whole")
    project = Project(folder, threads=2)
    project.simulate(
        directory=".", micrographs=3, width=400, height=400, pixel_size=3.54, particles=12, snr=0.3
    )
    project.autopick(**small.PICK)
    project.extract(**small.BOXES)
    project.class2d(particles="Extract/job002/particles.star", **small.CLASSES)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it, to be spoiled; spaces and letters of Europe in its name."""
    return Path(shutil.copytree(whole, tmp_path / "Prøject 1", symlinks=True))
