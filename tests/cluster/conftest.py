"""A Dask cluster of several processes on this machine."""

import os
import sys
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed", reason="needs pip install '.[cluster]'")
from boxwood.jobs.cluster import ClusterSettings  # noqa: E402

# works.py, and small.py, whose project is copied.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "jobs")]

import cloudpickle  # noqa: E402
import works  # noqa: E402

cloudpickle.register_pickle_by_value(works)  # workers cannot import it


@pytest.fixture(scope="session")
def loop():
    """Where clusters run. It ends with the process: of one that is stopped, Dask raises after ten seconds."""
    runner = distributed.utils.LoopRunner(asynchronous=False)
    runner.start()
    return runner.loop


@pytest.fixture(scope="session")
def cluster(loop):
    """Two worker processes of one thread each, for all tests."""
    before = os.getcwd()
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", loop=loop
        ) as made,
    ):
        yield made
    os.chdir(before)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine a worker that lives answers late, and a scheduler too."""
    monkeypatch.setattr("boxwood.execution.roster._PATIENCE", 60.0)
    monkeypatch.setattr("boxwood.execution.roster._SILENT", 60.0)
    monkeypatch.setattr("boxwood.jobs.cluster._ANSWER", 60.0)


@pytest.fixture
def settings(cluster):
    return ClusterSettings(executor="dask", scheduler=cluster.scheduler_address)


@pytest.fixture
def executor(settings, request):
    """The workers as an executor, and what it told in `executor.told`."""
    told = []
    made = settings.open(1, told.append)
    made.told = told
    request.addfinalizer(lambda: made.close(stopped=True))
    return made
