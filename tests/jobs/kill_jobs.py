"""Kill jobs with SIGKILL, go on, and compare with the undisturbed job.

    python tests/jobs/kill_jobs.py --jobs extract class2d --kills 100

A job is killed just before one of its changes to the file system (every one of them is as likely), or at any
time. Then every file has to be whole or absent. The job is continued, or begun again where its name was not
in the books yet, is often killed a second time, and has to end with the files of the job nobody disturbed.
`run` goes on by `--resume`, all of its jobs are compared, and its report has to be there; `demo`, which asks
for a new folder, is begun anew.

Each run is a process forked from this one, which has imported everything by making the project.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from small import BOXES, CLASSES, PICK, STAR, build, statuses, temporary_files

from boxwood.io.mrc import read_stack
from boxwood.io.star import read_star
from boxwood.jobs.compare import differences, results_in
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.names import job_folder

PARTICLES, MODEL = "Extract/job002/particles.star", "Class2D/job003/run_it003_model.star"
SIZE = {"width": 400, "height": 400}
PICKED = {**STAR, "coordinates": "AutoPick/job001"}
BATCHES = {"algorithm": "vdam", "mini_batches": 5, "batch_size": 20, "write_every": 2}


@dataclass(frozen=True)
class Case:
    """A job of the small project; `folder` where it writes if it is not a job of the project.

    `again`: options with which the same command goes on, where it is no job itself but consists of some.
    `anew`: what is left of it has to be removed before it can begin again.
    """

    job: str
    options: dict = field(default_factory=dict)
    folder: str = ""
    again: dict = field(default_factory=dict)
    anew: bool = False


LEARNED = {**STAR, "method": "adaptive", "min_diameter": 150, "max_diameter": 180, "doubtful": True}
REFERENCES = {**STAR, "references": "Class2D/job003/run_it003_classes.mrcs", "max_local_fdr": 1.0}
ALL = {**PICK, "threshold_offset": 0.5, "box_size": 64, "rescale": 32, "iterations": 3}
TWICE = {**ALL, "iterate": True, "clean": True, "min_score": 0}
DEMO = {"directory": "new", "micrographs": 2, **SIZE, "particles": 1, "iterations": 2}

CASES = {
    "import-micrographs": Case("import-micrographs", {"files": ["Micrographs/*.mrc"], "pixel_size": 3.54}),
    "autopick": Case("autopick", PICK),
    "autopick-adaptive": Case("autopick", LEARNED),
    "autopick-references": Case("autopick", REFERENCES),
    "tune-picking": Case("tune-picking", {**STAR, "particle_diameter": 165, "max_places": 100}),
    "extract": Case("extract", BOXES),
    "class2d": Case("class2d", {"particles": PARTICLES, **CLASSES}),
    "class2d-vdam": Case("class2d", {"particles": PARTICLES, **CLASSES, **BATCHES}),
    "select-classes": Case("select-classes", {"model": MODEL, "classes": [1]}),
    "select-particles": Case("select-particles", {"particles": PARTICLES, "split": 2}),
    "select-micrographs": Case("select-micrographs", {**STAR, "first": 2}),
    "manual-pick": Case("manual-pick", PICKED),
    "import": Case("import", {**STAR, "files": ["truth.star"]}),
    "export": Case("export", {"directory": "out", "to": "eman", "box_size": 64, **PICKED}, "out"),
    "simulate": Case(
        "simulate", {"directory": "new", "micrographs": 2, **SIZE, "particles": 1}, "new", anew=True
    ),
    "run": Case("run", ALL, again={"resume": True}),
    "run-iterate": Case("run", TWICE, again={"resume": True}),
    "demo": Case("demo", DEMO, "new", anew=True),
}

# What Python tells of before it happens; os.replace is called os.rename there.
_CHANGES = {"os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.symlink", "os.truncate"}


class Changes:
    """Counts changes to the file system by this process, and ends it before number `deadly`."""

    def __init__(self, deadly=None):
        self.count, self.deadly = 0, deadly
        sys.addaudithook(self.see)

    def see(self, event, arguments):
        written = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (written or event in _CHANGES):
            return
        self.count += 1
        if self.count == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def fork(function, *arguments):
    """Start a process that runs `function`, and exits with 1 if it raises."""
    process = os.fork()
    if process:
        return process
    try:
        function(*arguments)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def wait(process):
    """How it ended: an exit code, or minus the number of a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def run(case, project, going_on=False, continue_from=False, deadly=None, count_into=None):
    """Run the job, with two threads as they share the work in most projects."""
    changes = Changes(deadly)
    options = {} if continue_from and case.job != "class2d" else case.options
    options = options | (case.again if going_on else {})
    run_job(load_job(case.job), options, project=project, threads=2, continue_from=continue_from)
    if count_into:
        Path(count_into).write_text(str(changes.count))


def called(project, names, others):
    """Let tables of jobs name these as if no number had been skipped."""
    known = dict(zip(names, others, strict=True))
    if names == others:
        return
    for path in (path for name in names for path in (project / name).rglob("*.star")):
        path.write_text(re.sub("|".join(names), lambda match: known[match[0]], path.read_text()))


class Victim:
    """One kind of job in copies of the small project, of which `reference` was not disturbed."""

    def __init__(self, name, whole, scratch, rng):
        self.name, self.case, self.scratch, self.rng = name, CASES[name], scratch, rng
        self.whole = whole
        self.reference = self.copy("reference")
        begun = time.monotonic()
        assert wait(fork(run, self.case, self.reference, False, False, None, scratch / "count")) == 0
        self.seconds = time.monotonic() - begun
        self.changes = int((scratch / "count").read_text())
        self.outcomes = Counter()

    def copy(self, name):
        return Path(shutil.copytree(self.whole, self.scratch / f"{self.name} {name}", symlinks=True))

    def jobs(self, project):
        """The folders of the job, or of those it consists of, that are in the books."""
        return [job.name.rstrip("/") for job in ProjectFolder(project).pipeline().jobs()][3:]

    def finished(self, project):
        """Whether the books say that it succeeded."""
        jobs = self.jobs(project)
        return bool(jobs) and not self.case.again and statuses(project)[jobs[0] + "/"] == "Succeeded"

    def begin(self, project, deadly=None, going_on=True):
        """Start the job, or go on with it where it can be."""
        jobs = () if self.case.folder or self.case.again else self.jobs(project)
        if self.case.anew:
            shutil.rmtree(project / self.case.folder, ignore_errors=True)
        return fork(run, self.case, project, going_on, jobs[0] if jobs else False, deadly)

    def kill(self, project, going_on, at=None):
        """Run it until it is killed; False if it was quicker."""
        if at is not None or self.rng.random() < 0.7:
            deadly = at or self.rng.randint(1, self.changes)
            return wait(self.begin(project, deadly, going_on)) == -signal.SIGKILL
        process = self.begin(project, None, going_on)
        time.sleep(self.rng.uniform(0, self.seconds))
        os.kill(process, signal.SIGKILL)
        return wait(process) == -signal.SIGKILL

    def trial(self, at=None):
        """Kill, look, go on, compare; returns what is wrong."""
        project = self.copy("killed")
        try:
            kills = 0
            for _ in range(1 if at else self.rng.randint(1, 3)):
                if self.finished(project) or not self.kill(project, kills > 0, at):
                    break
                kills += 1
                if broken := list(self.broken(project)):
                    return broken
            self.outcomes["killed"] += kills
            self.outcomes["continued" if self.jobs(project) else "begun anew"] += 1
            if not self.finished(project) and (code := wait(self.begin(project))):
                return [f"going on ended with {code}"]
            return list(self.unequal(project))
        finally:
            shutil.rmtree(project)

    def broken(self, project):
        """Files that are there and not whole, and a lock that does not say whose it is."""
        lock = project / ".relion_lock"
        if lock.is_dir() and not any(path.stat().st_size for path in lock.iterdir()):
            yield "the lock does not say whose it is"
        for path in project.rglob("*"):
            plain = path.name.startswith(("RELION_JOB", "coords_suffix_", "lock_"))
            if not path.is_file() or path.suffix == ".tmp" or plain or ".Nodes" in path.parts:
                continue
            try:
                if path.suffix == ".star" and path.stat().st_size:
                    read_star(path)
                elif path.suffix in (".mrc", ".mrcs"):
                    read_stack(path)[:]
                elif path.suffix == ".npz":
                    with np.load(path) as file:
                        dict(file)
                elif path.name == ".boxwood.json":
                    json.loads(path.read_text())
                elif path.suffix == ".html":
                    assert path.read_text().endswith("</html>\n"), "it has no end"
            except Exception as error:
                yield f"{path.relative_to(project)} is not whole: {error}"

    def unequal(self, project):
        """What is not as in the project that was not disturbed."""
        with ProjectFolder(project).edit():  # as every later job does, it clears up behind the dead
            pass
        places, others = (
            [self.case.folder] if self.case.folder else self.jobs(p) for p in (project, self.reference)
        )
        if [Path(place).parent for place in places] != [Path(other).parent for other in others]:
            yield f"it has the jobs {places}, not {others}"
            return
        called(project, places, others)
        for place, other in zip(places, others, strict=True):
            before, now = self.reference / other, project / place
            names = sorted(results_in(before) | results_in(now))
            for name, how in differences(before, now, (other, other), names):
                yield f"{place}/{name} {how}"
        if self.case.again and not list(project.glob("report*/index.html")):
            yield "there is no report"
        for path in temporary_files(project):
            name = path.relative_to(project)
            if job_folder(name) in (None, *statuses(project)):  # what is not in the books stays as it is
                yield f"left behind: {name}"
        if (project / ".relion_lock").exists():
            yield "the lock is left behind"
        if not self.case.folder and set(statuses(project).values()) != {"Succeeded"}:
            yield f"in the books: {statuses(project)}"


def main(words=None):
    """Print one line for each kind of job; the exit code is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", nargs="+", default=list(CASES), choices=list(CASES), metavar="JOB")
    parser.add_argument("--kills", type=int, default=20, help="trials of each job (default: 20)")
    parser.add_argument("--every", action="store_true", help="instead: before each change, one by one")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "whole").mkdir()
        build(scratch / "whole")  # here, so that all modules are imported before the first fork
        for name in given.jobs:
            victim = Victim(name, scratch / "whole", scratch, random.Random(f"{given.seed} {name}"))
            moments = range(1, victim.changes + 1) if given.every else [None] * given.kills
            for at in moments:
                for text in victim.trial(at):
                    wrong += 1
                    print(f"{name}{f', change {at}' if at else ''}: {text}", flush=True)
            counts = ", ".join(f"{count} {what}" for what, count in sorted(victim.outcomes.items()))
            print(f"{name}: {victim.changes} changes, {len(moments)} trials: {counts}", flush=True)
    print(f"{wrong} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
