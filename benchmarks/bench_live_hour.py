"""An hour of a live job by the clock, with faulty files and a kill -9 in the middle.

python benchmarks/bench_live_hour.py [--minutes 60] [--every 12] [--size 4096] [--particles 200]
       [--classes 50] [--threads 1]

A micrograph is simulated for every so many seconds, each with particles of its own (like beta-galactosidase,
one of 20 views, signal-to-noise ratio 0.05, with three blotches of ice) and named in a STAR file. In every 50
of them two come in two halves, two a minute after they were named, one is cut off, garbage or no numbers for
good, one goes away before its turn, one comes again under another name, and one is named twice in a list that
is cut off for a while. The job is killed in the middle and continued. All that are good must be used, and
all particles have a class. Told are the time from the end of a file to the class of all its particles,
resident memory, picks and particles, and how far the classes agree with the views, where what is no particle
is a view of its own; and the same of `class2d` with the same particles, all at once.
"""

import argparse
import heapq
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import numpy as np
import pandas as pd
from quality_sets import agreement
from scipy.spatial import KDTree

from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.stacks import write_stack
from boxwood.io.star import read_star
from boxwood.jobs.class2d.files import IterationFiles, newest
from boxwood.simulate import ctf_rows, simulate_micrograph
from boxwood.simulate.rotations import random_orientations

PIXEL, VIEWS, HIT_PX = 0.885, 20, 50
JOB = Path("Class2D/job001")


class Microscope:
    """Makes micrographs ahead of their time in a thread, and lets them and the faults come by the clock."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.count = chosen, int(60 * chosen.minutes / chosen.every)
        rng = np.random.default_rng(0)
        self.views = random_orientations(VIEWS, rng)
        self.view = rng.integers(VIEWS, size=(self.count, chosen.particles))
        self.rows = ctf_rows(self.count, rng)
        self.truth: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.used: set[str] = set()
        self.listed: list[tuple[str, np.ndarray]] = []
        self.made: Queue[Path] = Queue(maxsize=5)
        self.events: list[tuple[float, int, Callable[[], object]]] = []
        self.order = itertools.count()
        self.begun = 0.0

    def make(self) -> None:
        """All micrographs, five at most ahead of their turn."""
        for number in range(self.count):
            psi = np.random.default_rng([1, number]).uniform(-180, 180, self.chosen.particles)
            made = simulate_micrograph(
                (self.chosen.size, self.chosen.size),
                PIXEL,
                particles=self.chosen.particles,
                angles_deg=np.column_stack([self.views[self.view[number], :2], psi]),
                snr=0.05,
                ctf_row=self.rows[number],
                contaminations=3,
                seed=(2, number),
            )
            self.truth[name_of(number)] = np.column_stack([made.x, made.y]), self.view[number]
            path = Path(f"Making/{number}.mrc")
            write_stack(path, made.image, PIXEL, float16=True)
            self.made.put(path)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        heapq.heappush(self.events, (time.time() + seconds, next(self.order), action))

    def run(self) -> None:
        """Let them come; returns when all have."""
        maker = threading.Thread(target=self.make, daemon=True)
        maker.start()
        while not self.made.full() and maker.is_alive():
            time.sleep(0.1)
        self.begun, number = time.time(), 0
        while number < self.count or self.events:
            now = time.time()
            if self.events and self.events[0][0] <= now:
                heapq.heappop(self.events)[2]()
            elif number < self.count and now >= self.begun + number * self.chosen.every and self.made.qsize():
                self.arrive(number, self.made.get())
                number += 1
            else:  # also while one is still being made
                time.sleep(0.05)

    def arrive(self, number: int, made: Path) -> None:
        """One micrograph, or what becomes of it."""
        name, of_50 = name_of(number), number % 50
        good = of_50 not in (20, 30, 40)
        if good:
            self.used.add(name)
        if of_50 in (10, 35):
            half, rest = halves(made)
            Path(name).write_bytes(half)
            self.after(15, lambda: append(Path(name), rest))
        elif of_50 in (15, 48):
            self.after(60, lambda: come(made, name))
        elif of_50 == 20:
            spoil(made, number // 50 % 3)
            come(made, name)
        elif of_50 == 30:
            come(made, name)
            self.after(4, lambda: Path(name).unlink())
        elif of_50 == 40:
            shutil.copyfile(name_of(number - 3), name)
        else:
            come(made, name)
        self.list(name, number)
        if of_50 == 45:
            self.list(name, number)
            text = Path("all.star").read_bytes()
            Path("all.star").write_bytes(text[: len(text) * 2 // 3])
            self.after(3, self.write_list)

    def list(self, name: str, number: int) -> None:
        self.listed.append((name, self.rows[number]))
        self.write_list()

    def write_list(self) -> None:
        u, v, angle = np.array([row[:3] for _, row in self.listed]).T
        table = pd.DataFrame({"rlnMicrographName": [name for name, _ in self.listed], "rlnOpticsGroup": 1})
        table = table.assign(rlnDefocusU=u, rlnDefocusV=v, rlnDefocusAngle=angle)
        voltage, cs, contrast = self.rows[0, 4:7]
        optics = {"rlnOpticsGroupName": "one", "rlnOpticsGroup": 1, "rlnMicrographPixelSize": PIXEL}
        optics |= {"rlnVoltage": voltage, "rlnSphericalAberration": cs, "rlnAmplitudeContrast": contrast}
        MicrographSet(pd.DataFrame([optics]), table).write(Path("all.star"))


def name_of(number: int) -> str:
    return f"Arrived/m{number:04d}.mrc"


def halves(path: Path) -> tuple[bytes, bytes]:
    data = path.read_bytes()
    path.unlink()
    return data[: len(data) // 2], data[len(data) // 2 :]


def append(path: Path, rest: bytes) -> None:
    with path.open("ab") as file:
        file.write(rest)


def come(made: Path, name: str) -> None:
    """It gets its name, and is of this moment."""
    os.utime(made)
    made.rename(name)


def spoil(path: Path, how: int) -> None:
    if how == 0:
        path.write_bytes(path.read_bytes()[:1_000_000])
    elif how == 1:
        path.write_bytes(np.random.default_rng(0).bytes(1_000_000))
    else:
        data = path.read_bytes()
        path.write_bytes(data[:1024] + np.full((len(data) - 1024) // 2, np.nan, np.float16).tobytes())


class Job:
    """The live job, killed and continued, whose memory is looked at every ten seconds."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.threads, self.watched = chosen.threads, []
        words = f"--micrographs all.star --min-diameter 150 --max-diameter 180 --classes {chosen.classes}"
        self.process = self.start(*words.split(), "--stop-after", "1.5")
        self.ended = False
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "boxwood", "live", *words, "--threads", str(self.threads)]
        with open("live.log", "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.tell("killed")
        self.process = self.start("--continue", str(JOB))

    def watch(self) -> None:
        while not self.ended:
            try:
                status = Path(f"/proc/{self.process.pid}/status").read_text()
                resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
                spent = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
                cpu = sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
                number = len(list(JOB.rglob("*_extract.star")))
                self.watched.append(
                    (time.time(), resident, number, os.getloadavg()[0], self.process.pid, cpu)
                )
            except (OSError, IndexError):  # it was killed just now, or has ended
                pass
            if len(self.watched) % 30 == 1:
                self.tell("")
            time.sleep(10)

    def tell(self, what: str) -> None:
        if self.watched:
            _, resident, number, load, _, cpu = self.watched[-1]
            print(
                f"{time.strftime('%H:%M:%S')} {number} micrographs extracted, {resident:.0f} MiB, "
                f"{cpu:.0f} s of CPU time, load {load:.1f} {what}",
                flush=True,
            )

    def end(self) -> None:
        assert self.process.wait() == 0, "the job has failed; see live.log"
        self.ended = True


def views_of(table: pd.DataFrame, truth: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The view of each pick: of the particle next to it, which has no nearer one; VIEWS if there is none."""
    view = np.full(len(table), VIEWS)
    names = table["rlnMicrographName"].to_numpy()
    places = table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        marks, views = truth[name]
        far, nearest = KDTree(marks).query(places[rows])
        order = np.argsort(far)
        _, first = np.unique(nearest[order], return_index=True)
        hits = order[first]
        hits = hits[far[hits] <= HIT_PX]
        view[rows[hits]] = views[nearest[hits]]
    return view


def data_of(job: Path) -> Path:
    """The particles of the last iteration."""
    optimiser = newest(job)
    assert optimiser is not None, f"nothing was classified in {job}"
    return IterationFiles.of(optimiser).path("data.star")


def quality(data: Path, truth: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    table = ParticleSet.read(data).table
    found = table["rlnClassNumber"].to_numpy(int) - 1
    assert (found >= 0).all(), "a particle has no class"
    share = np.bincount(found) / len(found)
    view = views_of(table, truth)
    purity, information = agreement(found, view)
    effective = np.exp(-np.sum(share[share > 0] * np.log(share[share > 0])))
    hits = (view < VIEWS).sum()
    return (
        f"{len(table)} picks, {hits / len(table):.3f} of them particles; "
        f"purity {purity:.3f}, NMI {information:.3f}, {effective:.1f} effective classes"
    )


def check(microscope: Microscope) -> pd.DataFrame:
    """All good micrographs were used, and no others; returns the table of them."""
    ledger = read_star(JOB / "live.star")["live_micrographs"].set_index("rlnMicrographName")
    done = ledger[ledger["bwLiveState"] == "done"]
    assert set(done.index) == microscope.used, set(done.index) ^ microscope.used
    print(ledger["bwLiveState"].value_counts().to_dict())
    names = ParticleSet.read(JOB / "particles.star").table["rlnImageName"]
    assert not names.duplicated().any() and len(names) == done["rlnGroupNrParticles"].sum()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=12.0)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for folder in ("Arrived", "Making"):
            Path(folder).mkdir()
        microscope = Microscope(chosen)
        microscope.listed.append((name_of(0), microscope.rows[0]))  # named before it is there
        microscope.write_list()
        job = Job(chosen)
        microscope.after(30 * chosen.minutes, job.kill)
        microscope.run()
        job.end()
        done = check(microscope)
        wait = (done["bwTimeClassified"] - done["bwTimeArrived"]).sort_index()
        wait = wait[np.cumsum(done["rlnGroupNrParticles"].sort_index()) > 20 * chosen.classes]
        late = wait.sort_values()
        print(
            f"{len(done)} micrographs, one every {chosen.every:g} s for {chosen.minutes:g} min, mean load "
            f"{np.mean([w[3] for w in job.watched]):.1f}: from file to class {late.median():.0f} s in the "
            f"median, {late.iloc[int(0.95 * len(late))]:.0f} s at 95 %, {late.iloc[-1]:.0f} s at most "
            f"({late.index[-1]})"
        )
        for pid in dict.fromkeys(w[4] for w in job.watched):
            of_it = [w for w in job.watched if w[4] == pid]
            shown = of_it[:: max(1, len(of_it) // 8)] + of_it[-1:]
            told = ", ".join(f"{w[2]}: {w[1]:.0f}" for w in shown)
            print(f"micrographs: resident MiB of a run of {of_it[-1][5]:.0f} s of CPU time: {told}")
        print("live:       ", quality(data_of(JOB), microscope.truth))
        words = f"class2d --particles {JOB}/particles.star --classes {chosen.classes} --algorithm vdam"
        words += " --mask-diameter 200 --output once"
        command = [sys.executable, "-m", "boxwood", *words.split()]
        subprocess.run([*command, "--threads", str(chosen.threads)], check=True, stdout=subprocess.DEVNULL)
        print("all at once:", quality(data_of(Path("once")), microscope.truth))


if __name__ == "__main__":
    main()
