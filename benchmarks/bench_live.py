"""How many micrographs an hour a live job keeps up with for each core, and how soon particles have a class.

python benchmarks/bench_live.py [--micrographs 24] [--size 4096] [--particles 200] [--classes 50] [--every 12]
python benchmarks/bench_live.py --rounds-of 1000

Micrographs are simulated (0.885 Angstrom, particles like beta-galactosidase); four are made and the others
are these with one pixel changed, for files with the same contents are left out. In one run all are there,
which tells what a core can do: CPU seconds of picking, extraction and the mini-batches that give all
particles a class, files included. In another they come one after the other, every so many seconds (0: no such
run), and the time from the end of a file to the class of all its particles is told. Both are checked: all are
used, and all particles have a class.

With `--rounds-of` there are so many small micrographs instead (512^2, 196 particles of 32 px), and what is
told is the CPU seconds of a round of four of them as the particles become more.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench_memory
import numpy as np

import boxwood.jobs.live.run as live_run
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.simulate import simulate_project

DIFFERENT = 4


def prepare(folder: Path, chosen: argparse.Namespace) -> MicrographSet:
    """The first micrographs, and the table of all of them."""
    simulate_project(
        folder, micrographs=DIFFERENT, width=chosen.size, height=chosen.size, particles=chosen.particles,
        threads=2,
    )  # fmt: skip
    made = MicrographSet.read(folder / "micrographs_ctf.star")
    rows = np.arange(chosen.micrographs) % DIFFERENT
    table = made.table.iloc[rows].reset_index(drop=True)
    table["rlnMicrographName"] = [f"Arrived/m{i:04d}.mrc" for i in range(chosen.micrographs)]
    (folder / "Arrived").mkdir()
    (folder / "sources.txt").write_text("\n".join(made.table["rlnMicrographName"]))
    return MicrographSet(made.optics, table)


def arrive(folder: Path, number: int) -> None:
    """One more micrograph, of which the last pixel is its own; it gets its name when it is whole."""
    sources = (folder / "sources.txt").read_text().split("\n")
    part = folder / "Arrived/part"
    shutil.copyfile(folder / sources[number % DIFFERENT], part)
    with open(part, "r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(np.float32(number / 100).tobytes())
    part.rename(folder / f"Arrived/m{number:04d}.mrc")


def live(folder: Path, chosen: argparse.Namespace, *more: str) -> tuple[float, float]:
    """Run the job; returns CPU and wall seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = f"--micrographs all.star --min-diameter 150 --max-diameter 180 --classes {chosen.classes}"
    command = [
        sys.executable,
        "-m",
        "boxwood",
        "live",
        *words.split(),
        "--threads",
        str(chosen.threads),
        *more,
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - begun


def check(job: Path, micrographs: int) -> int:
    """All were used and all particles have a class; returns how many particles there are."""
    ledger = read_star(job / "live.star")["live_micrographs"]
    assert len(ledger) == micrographs and (ledger["bwLiveState"] == "done").all(), "a micrograph was left out"
    newest = max(job.glob("run_it*_data.star"))
    particles = ParticleSet.read(newest)
    assert (particles.table["rlnClassNumber"] > 0).all(), "a particle has no class"
    assert len(particles) == ledger["rlnGroupNrParticles"].sum(), "particles are missing"
    return len(particles)


class Rounds(live_run.Live):
    """Takes four micrographs, which is timed, and 96, so that there are soon many particles."""

    number = 0

    def _take(self, *, last: bool) -> bool:
        timed = self.number % 2 == 0
        live_run._AT_ONCE, self.number = (4 if timed else 96), self.number + 1
        begun = time.process_time()
        taken = super()._take(last=last)
        if timed:
            print(f"{len(self.particles):8} particles: {time.process_time() - begun:5.2f} s", flush=True)
        return taken


def rounds(folder: Path, count: int) -> None:
    """CPU seconds of rounds of a job in this process."""
    bench_memory.make(folder, count)
    for number in range(count):  # they are links to four files, and each needs contents of its own
        path = folder / f"Micrographs/m{number:05d}.mrc"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:-2] + np.float16(number / 1000).tobytes())
    live_run.Live = Rounds  # type: ignore[misc]
    sizes = {"min_diameter": 90, "max_diameter": 120, "threshold_offset": 1, "box_size": bench_memory.BOX}
    result = Project(folder, threads=1).live(
        micrographs="micrographs.star",
        settle=0,
        stop_after=0,
        finish=False,
        psi_step=12,
        offset_range=3,
        **sizes,
    )
    assert result.values["particles"] == count * bench_memory.PER_MICROGRAPH, "particles are missing"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--micrographs", type=int, default=24)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--every", type=float, default=12.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds-of", type=int, metavar="MICROGRAPHS")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if chosen.rounds_of:
            rounds(folder / "project", chosen.rounds_of)
            return
        table = prepare(folder, chosen)
        table.write(folder / "all.star")
        for number in range(chosen.micrographs):
            arrive(folder, number)
        cpu, wall = live(
            folder, chosen, "--settle", "0", "--stop-after", "0", "--no-finish", "--output", "rate"
        )
        particles = check(folder / "rate", chosen.micrographs)
        print(
            f"{chosen.micrographs} micrographs of {chosen.size}^2, {particles} particles: {cpu:.1f} s of CPU "
            f"time, {wall:.1f} s; {3600 * chosen.micrographs / cpu:.0f} micrographs an hour and core",
            flush=True,
        )
        if not chosen.every:
            return
        shutil.rmtree(folder / "Arrived")
        (folder / "Arrived").mkdir()

        def microscope() -> None:
            for number in range(chosen.micrographs):
                arrive(folder, number)
                time.sleep(chosen.every)

        thread = threading.Thread(target=microscope)
        thread.start()
        live(folder, chosen, "--stop-after", "0.5", "--no-finish", "--output", "latency")
        thread.join()
        check(folder / "latency", chosen.micrographs)
        ledger = read_star(folder / "latency/live.star")["live_micrographs"].sort_values("bwTimeArrived")
        wait = (ledger["bwTimeClassified"] - ledger["bwTimeArrived"]).to_numpy()
        began = 20 * chosen.classes / (particles / chosen.micrographs)  # micrographs until there are classes
        wait = np.sort(wait[int(np.ceil(began)) :])
        print(
            f"one every {chosen.every:g} s: from file to class {np.median(wait):.0f} s in the median, "
            f"{wait[int(0.95 * len(wait))]:.0f} s at 95 %, {wait[-1]:.0f} s at most", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
