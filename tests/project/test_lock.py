"""RELION's lock: waited for, given back whatever happens, and explained where a dead program left it."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import boxwood
from boxwood.errors import JobError
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_form import JobType
from boxwood.project.lock import pipeline_lock

PICK = JobType("AutoPick", 4, "relion.autopick.log")


def run_a_job(project):
    name = project.start_job(PICK, joboptions={}, inputs=[])
    project.end_job(name, "Succeeded")
    return name


def test_the_lock_is_waited_for(tmp_path, monkeypatch):
    lock = tmp_path / ".relion_lock"
    lock.mkdir()
    found = []

    def the_other_ends(_):
        found.append(os.listdir(tmp_path))
        lock.rmdir()

    monkeypatch.setattr("boxwood.project.lock.time.sleep", the_other_ends)
    assert run_a_job(ProjectFolder(tmp_path)) == "AutoPick/job001/"
    assert found == [[".relion_lock"]]  # nothing was made before the lock was free
    assert not lock.exists()


def test_a_lock_that_stays_is_named_and_left(tmp_path):
    (tmp_path / ".relion_lock").mkdir()
    with pytest.raises(JobError, match=r"locked by another program.*remove .*\.relion_lock"):
        run_a_job(ProjectFolder(tmp_path, lock_patience_seconds=0.05))
    assert os.listdir(tmp_path) == [".relion_lock"]


def test_who_waits_for_a_lock_is_told_why(tmp_path):
    (tmp_path / ".relion_lock").mkdir()
    said = []

    def hear(text):
        said.append(text)
        (tmp_path / ".relion_lock").rmdir()

    run_a_job(ProjectFolder(tmp_path, say=hear))
    assert len(said) == 1 and "waiting up to 120 seconds, because the project has been locked" in said[0]


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), pipeline_lock(tmp_path):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_while_the_lock_is_held(tmp_path, number):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    reached = []
    try:
        with pytest.raises(KeyboardInterrupt), pipeline_lock(tmp_path):
            signal.raise_signal(number)
            reached.append((tmp_path / ".relion_lock").is_dir())
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    assert reached == [True] and os.listdir(tmp_path) == []


def test_who_waits_for_the_lock_can_be_interrupted(tmp_path, monkeypatch):
    (tmp_path / ".relion_lock").mkdir()
    monkeypatch.setattr("boxwood.project.lock.time.sleep", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), pipeline_lock(tmp_path):
        pass
    assert os.listdir(tmp_path) == [".relion_lock"]


KILLED = """
import os, signal, sys
from boxwood.project.lock import pipeline_lock
with pipeline_lock(__import__("pathlib").Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""

# Fails where another process is inside at the same time.
ALONE = """
import os, sys, time
from pathlib import Path
from boxwood.project.lock import pipeline_lock
root = Path(sys.argv[1])
for _ in range(20):
    with pipeline_lock(root):
        os.mkdir(root / "inside")
        time.sleep(0.001)
        os.rmdir(root / "inside")
"""


@pytest.fixture
def dead(tmp_path):
    """The lock of a process that was killed; the number it had."""
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], env=environment)
    assert process.wait(timeout=300) == -signal.SIGKILL
    return process.pid


def test_the_lock_of_a_killed_boxwood_is_removed(tmp_path, dead):
    said = []
    assert run_a_job(ProjectFolder(tmp_path, lock_patience_seconds=0, say=said.append)) == "AutoPick/job001/"
    assert f"removed the lock of boxwood, process {dead} on {socket.gethostname()}" in said[0]


@pytest.mark.parametrize("elsewhere", ["on another-computer (pid:[1])", "on {} (pid:[1])"])
def test_the_lock_of_a_boxwood_elsewhere_is_left(tmp_path, dead, elsewhere):
    """On another computer or in another container the same number is another process."""
    lock = tmp_path / ".relion_lock"
    text = f"boxwood, process {dead} {elsewhere.format(socket.gethostname())}"
    (lock / "lock_default_pipeline.star").write_text(text)
    said = rf"locked by {re.escape(text)} since .* at work here, remove {lock}"
    with pytest.raises(JobError, match=said):
        run_a_job(ProjectFolder(tmp_path, lock_patience_seconds=0))
    subprocess.run(["rm", "-r", str(lock)], check=True)  # as the sentence says
    assert run_a_job(ProjectFolder(tmp_path)) == "AutoPick/job001/"


# Killed before one of its changes to the file system, and after its lock is taken from it.
KILLED_BEFORE = """
import os, signal, sys
from boxwood.project.lock import pipeline_lock
left = int(sys.argv[2])
def see(event, arguments):
    global left
    written = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if written or event in ("os.mkdir", "os.rename", "os.rmdir", "os.remove", "ctypes.dlsym"):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(see)
with pipeline_lock(__import__("pathlib").Path(sys.argv[1])):
    pass
"""


def test_no_moment_is_wrong_to_be_killed_at(tmp_path):
    """Whenever that is, the next boxwood goes on without waiting, and clears up."""
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    kills, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        words = [sys.executable, "-c", KILLED_BEFORE, tmp_path, str(kills + 1)]
        code = subprocess.run(words, env=environment, timeout=300).returncode
        kills += code == -signal.SIGKILL
        with pipeline_lock(tmp_path, patience_seconds=0):
            assert os.listdir(tmp_path) == [".relion_lock"]
        assert os.listdir(tmp_path) == []
    assert code == 0 and kills >= 6


def test_a_lock_of_relion_with_nothing_in_it_is_not_replaced(tmp_path, monkeypatch):
    """RELION makes the folder first, and may do so after we have looked."""
    (tmp_path / ".relion_lock").mkdir()
    monkeypatch.setattr("boxwood.project.lock.os.path.lexists", lambda _: False)
    with pytest.raises(JobError, match="locked by another program"), pipeline_lock(tmp_path, 0):
        pass
    assert os.listdir(tmp_path) == [".relion_lock"] and not os.listdir(tmp_path / ".relion_lock")


def test_the_lock_works_where_a_rename_may_replace(tmp_path, monkeypatch):
    """Some file systems do not know the rename that fails where there is a file."""
    monkeypatch.setattr("boxwood.project.lock._renamed", lambda *_: False)
    with pipeline_lock(tmp_path):
        assert os.listdir(tmp_path) == [".relion_lock"]
        written = (tmp_path / ".relion_lock" / "lock_default_pipeline.star").read_text()
        assert written.startswith(f"boxwood, process {os.getpid()} on ")
        with pytest.raises(JobError, match="by boxwood, process"), pipeline_lock(tmp_path, 0):
            pass
    assert os.listdir(tmp_path) == []


def test_one_of_many_removes_the_lock(tmp_path, dead):
    """Whoever comes second must not take the lock of the first for that of the dead."""
    environment = {**os.environ, "PYTHONPATH": str(Path(boxwood.__file__).parents[1])}
    together = [subprocess.Popen([sys.executable, "-c", ALONE, tmp_path], env=environment) for _ in range(4)]
    assert [process.wait(timeout=300) for process in together] == [0] * 4
    assert not (tmp_path / ".relion_lock").exists()


def test_a_living_boxwood_is_not_called_dead(tmp_path):
    with (
        pipeline_lock(tmp_path),
        pytest.raises(JobError, match=rf"by boxwood, process {os.getpid()} on .* since .*; if no RELION"),
    ):
        run_a_job(ProjectFolder(tmp_path, lock_patience_seconds=0))
