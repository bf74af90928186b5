"""A microscope whose hours pass in seconds, and what it writes."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from boxwood.io.particles import MicrographSet
from boxwood.io.stacks import write_stack
from boxwood.io.star import read_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.simulate import simulate_micrograph

SIZE, PIXEL = 200, 7.0
JOB = Path("Class2D/job001")
NAME = "Micrographs/m{:03d}.mrc"
LIVE = {
    "micrographs": "micrographs_ctf.star",
    **{"min_diameter": 150, "max_diameter": 180, "threshold_offset": 0.5, "box_size": 32, "rescale": 32},
    **{"classes": 2, "begin_with": 60, "mini_batches": 10, "psi_step": 30, "offset_range": 1},
    **{"settle": 20, "poll": 60, "stop_after": 10},
}


class FastClock:
    """A clock that goes on only when somebody waits, and then does what is due."""

    def __init__(self, start):
        self.time, self.events = start, []

    def now(self):
        return self.time

    def at(self, seconds, action):
        """Do something so many seconds from the start."""
        self.events.append((self.time + seconds, len(self.events), action))

    def sleep(self, seconds):
        self.time += seconds
        due = sorted(event for event in self.events if event[0] <= self.time)
        self.events = [event for event in self.events if event[0] > self.time]
        for _, _, action in due:
            action()


class Microscope:
    """Writes micrographs and the STAR file that names them, in the current folder."""

    def __init__(self, seed=0):
        self.images = [
            simulate_micrograph((SIZE, SIZE), PIXEL, particles=6, snr=1.0, seed=(seed, i), threads=1)
            for i in range(8)
        ]
        self.rng = np.random.default_rng(seed)
        self.names, self.clock = [], None
        Path("Micrographs").mkdir()

    def pixels(self, number):
        """Micrograph `number`: one of eight, moved, with a little noise of its own."""
        image = np.roll(self.images[number % 8].image, number, axis=1)
        return (image + 0.01 * self.rng.standard_normal(image.shape)).astype(np.float32)

    def write(self, name, pixels=None, part=1.0):
        """A micrograph, or the first part of one."""
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        number = int("".join(c for c in path.stem if c.isdigit()) or 0)
        write_stack(path, (self.pixels(number) if pixels is None else pixels)[None], PIXEL)
        whole = path.read_bytes()
        path.write_bytes(whole[: round(part * len(whole))])
        self.dated(path)

    def dated(self, path):
        """Let the file be of the clock's time, not of this computer's."""
        if self.clock is not None:
            os.utime(path, (self.clock.time, self.clock.time))

    def list(self, *names, cut=1.0):
        """Name more micrographs in the STAR file, which is renamed into place, or cut off in the middle."""
        self.names += names
        defocus = np.linspace(8000, 16000, len(self.names))
        table = pd.DataFrame({"rlnMicrographName": self.names, "rlnOpticsGroup": 1, "rlnDefocusU": defocus})
        table = table.assign(rlnDefocusV=defocus, rlnDefocusAngle=0.0)
        optics = {"rlnOpticsGroupName": "one", "rlnOpticsGroup": 1, "rlnMicrographPixelSize": PIXEL}
        optics |= {"rlnVoltage": 200.0, "rlnSphericalAberration": 1.4, "rlnAmplitudeContrast": 0.1}
        new = Path("new.star")
        MicrographSet(pd.DataFrame([optics]), table).write(new)
        text = new.read_bytes()
        new.write_bytes(text[: round(cut * len(text))])
        self.dated(new)
        new.replace("micrographs_ctf.star")


def live(continue_from=False, **options):
    """Run the job in the current folder, or go on with it."""
    values = options if continue_from else {**LIVE, **options}
    return run_job(load_job("live"), values, threads=2, continue_from=continue_from)


def micrographs():
    """What the job says of each micrograph."""
    return read_star(JOB / "live.star")["live_micrographs"].set_index("rlnMicrographName")
