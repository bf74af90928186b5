"""Jobs killed with SIGKILL a few times; `kill_jobs.py` does it hundreds of times."""

import subprocess
import sys
from pathlib import Path

from kill_jobs import CASES

import boxwood

HERE = Path(__file__).parent


def test_killed_jobs_leave_whole_files_and_go_on_to_the_same_result():
    jobs = [name for name in CASES if name not in ("tune-picking", "run-iterate")]  # which take ten seconds
    command = [sys.executable, HERE / "kill_jobs.py", "--kills", "2", "--jobs", *jobs]
    environment = {"PYTHONPATH": str(Path(boxwood.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" killed") == len(jobs) and done.stdout.endswith("\n0 faults\n")
