"""`boxwood live`: look for micrographs, take the new ones, and else improve the classes."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from boxwood.class2d import Class2DParameters
from boxwood.errors import JobError
from boxwood.jobs.context import JobContext
from boxwood.jobs.defaults import chosen_sizes
from boxwood.jobs.extract_tables import columns, joined
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.live.arrivals import Arrivals, Folder, GrowingStar, Listing
from boxwood.jobs.live.classes import LiveClasses
from boxwood.jobs.live.clock import Clock
from boxwood.jobs.live.harvest import Harvest
from boxwood.jobs.live.ledger import BAD, DONE, DUPLICATE, FILE, LISTED, VANISHED, WAITING, Ledger
from boxwood.jobs.live.options import LiveOptions
from boxwood.project.names import below_job
from boxwood.project.nodes import coordinate_node

# Whoever makes this file in the job's folder asks it to finish.
FINISH = "BOXWOOD_LIVE_FINISH"
MICROGRAPHS, PARTICLES = "micrographs.star", "particles.star"
# Micrographs taken at once for each thread: so many, that the classes see new particles soon.
_AT_ONCE = 4
# Without new particles, classes are written every so many seconds.
_WRITE_EVERY_S = 60.0
# And while nothing happens at all, how it stands.
_TELL_EVERY_S = 15.0
# The rate is that of the last so many seconds.
_RATE_OVER_S = 900.0


def run(options: LiveOptions, context: JobContext) -> JobResult:
    """Go on until nothing new comes, or somebody asks for the end."""
    return Live(options, context, Clock()).run()


class Live:
    """One live job."""

    def __init__(self, options: LiveOptions, context: JobContext, clock: Clock) -> None:
        self.options, self.context, self.clock = options, context, clock
        context.continuing = True  # files that are there are done, whether this run or one before made them
        self.ledger = Ledger.read(context.output / FILE)
        self.arrivals = Arrivals(
            self._listing(),
            self.ledger,
            options.settle,
            clock,
            context.warn,
            lambda name: str(below_job(name).with_suffix("")),
        )
        self.harvest: Harvest | None = None
        self.classes: LiveClasses | None = None
        self.used: list[str] = []
        self.particles = pd.DataFrame()
        self.asked = self._stalled = False
        self._looked = self._written_at = self._told_at = -math.inf
        self._queue: list[str] = []

    def run(self) -> JobResult:
        (self.context.output / FINISH).unlink(missing_ok=True)
        self._go_on()
        with self._finishing():
            while not self._is_over():
                self.context.check_abort()
                if self._look() and self._take(last=False):
                    continue
                if self.classes is not None and self.classes.can_improve:
                    self.classes.improve()
                    if self.clock.now() - self._written_at > _WRITE_EVERY_S or not self.classes.can_improve:
                        self._write()
                else:
                    if self.clock.now() - self._told_at > _TELL_EVERY_S:
                        self._write_status()
                    self.clock.sleep(self.options.poll)
            self._look(last=True)
            while self._queue and self._take(last=True):
                self._look(last=True)
        return self._end()

    def _listing(self) -> Listing:
        o = self.options
        if o.micrographs is not None:
            return GrowingStar(o.micrographs, o.settle, self.clock, self.context.warn)
        assert o.watch is not None
        optics = {
            "rlnVoltage": o.voltage,
            "rlnSphericalAberration": o.cs,
            "rlnAmplitudeContrast": o.amplitude_contrast,
        }
        return Folder(o.watch, o.pixel_size, optics)

    @contextmanager
    def _finishing(self) -> Iterator[None]:
        """Let the first Ctrl-C ask for the end; the second stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def ask(*_: Any) -> None:
            self.asked = True
            signal.signal(signal.SIGINT, before)
            self.context.log("finishing: what has come is taken, and classified; Ctrl-C again stops at once")

        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _is_over(self) -> bool:
        if self.asked or (self.context.output / FINISH).exists():
            return True
        minutes = self.options.stop_after
        quiet = self._looked - self.arrivals.last_news  # what came since the last look is not known
        idle = not self._queue or self._stalled
        return minutes is not None and idle and quiet > 60 * minutes + self.options.settle

    def _look(self, last: bool = False) -> bool:
        """Whether there are micrographs to be taken."""
        if last or self.clock.now() - self._looked >= self.options.poll:
            self._queue = self.arrivals.look()
            self._looked = self.clock.now()
        return bool(self._queue)

    def _go_on(self) -> None:
        """Take up what an earlier run has made."""
        from boxwood.io.particles import MicrographSet

        used = self.context.output / MICROGRAPHS
        if not used.exists():
            return
        self.arrivals.adopt(MicrographSet.read(used))
        harvest, classes = self._begin()
        classes.resume()
        found: dict[str, pd.DataFrame] = {}
        for name, table in harvest.take(self.arrivals, self.arrivals.names):
            if isinstance(table, str):
                raise JobError(f"{name} was used before, and cannot be now: {table}")
            found[name] = table
            entry = self.ledger.of(name)
            entry.particles = len(table)
            entry.extracted = entry.extracted or self.clock.now()  # it was stopped before it could say so
        self._join(found)

    def _begin(self) -> tuple[Harvest, LiveClasses]:
        """What needs the first micrograph: its pixels."""
        if self.harvest is not None and self.classes is not None:
            return self.harvest, self.classes
        o = self.options
        sizes = chosen_sizes(o, min(self.arrivals.pixel_sizes().values()))
        parameters = Class2DParameters(
            classes=o.classes,
            algorithm="vdam",
            mini_batches=o.mini_batches,
            mask_diameter_angstrom=sizes.mask_angstrom,
            psi_step_deg=o.psi_step,
            offset_range_px=o.offset_range,
            memory_gib=o.memory_gib,
            seed=o.seed,
        )
        self.harvest = Harvest(o, self.context, sizes)
        self.classes = LiveClasses(parameters, o.first_particles, self.context)
        return self.harvest, self.classes

    def _take(self, *, last: bool) -> bool:
        """Take some of the micrographs that are ready; False if they have to wait for more."""
        harvest, classes = self._begin()
        self._stalled = not harvest.can_pick(self.arrivals, self._queue, last)
        if self._stalled:
            return False
        some = self._queue[: _AT_ONCE * self.context.threads]
        self._queue = self._queue[len(some) :]
        before = len(self.particles)
        tables: dict[str, pd.DataFrame] = {}
        for name, found in harvest.take(self.arrivals, some):
            entry = self.ledger.of(name)
            if isinstance(found, str):
                gone = not self.arrivals.file_of(name).exists()
                reason = "its file went away before it was used" if gone else found
                self.ledger.settle(entry, VANISHED if gone else BAD, reason)
                harvest.forget(name)
                continue
            self.ledger.settle(entry, DONE)
            entry.particles, entry.extracted = len(found), self.clock.now()
            tables[name] = found
        self._join(tables)
        self._write()
        new, total = len(self.particles) - before, len(self.particles)
        self.context.log(f"{len(some)} micrographs, {new} particles ({total} in all); {classes.sentence}")
        return True

    def _join(self, found: dict[str, pd.DataFrame]) -> None:
        """Write the particles there are with those that were found, which join the classes."""
        from boxwood.io.coordinates import write_coordinate_list
        from boxwood.io.particles import ParticleSet

        context, (harvest, classes) = self.context, self._begin()
        if not found:
            return
        self.used += found
        self.particles = joined([columns(table) for table in (self.particles, *found.values())])
        self.arrivals.set_of(self.used).write(context.output / MICROGRAPHS, dialect=context.dialect)
        if context.dialect != "3.1":
            files = {name: context.output_path(name, "_autopick.star") for name in self.used}
            write_coordinate_list(context.output / "autopick.star", files, dialect=context.dialect)
        if not len(self.particles):
            return
        path = context.output / PARTICLES
        particles = ParticleSet(harvest.optics, self.particles, str(path))
        particles.write(path, dialect=context.dialect)
        classes.add(particles, ctf=particles.has_ctf())
        classes.see_all()

    def _write(self) -> None:
        """Write classes and status."""
        if self.classes is not None:
            self.classes.write()
            now = self.clock.now()
            waiting, joined_in = self.classes.unseen_micrographs(), self.classes.micrographs()
            for name in joined_in - waiting:
                entry = self.ledger.of(name)
                entry.classified = entry.classified or now
        self._written_at = self.clock.now()
        self._write_status()

    def _write_status(self, state: str = "running") -> None:
        now = self._told_at = self.clock.now()
        recent = sum(now - e.extracted < _RATE_OVER_S for e in self.ledger.with_state(DONE))
        begun = min((e.extracted for e in self.ledger.with_state(DONE)), default=now)
        hours = max(min(_RATE_OVER_S, now - begun), 60.0) / 3600
        result = None if self.classes is None else self.classes.result
        general = {
            "bwState": state,
            "bwTimeWritten": now,
            "bwMicrographs": len(self.ledger.with_state(DONE)),
            "bwParticles": len(self.particles),
            "bwQueue": len(self.ledger.with_state(WAITING)),
            "bwMicrographsPerHour": recent / hours,
            "rlnCurrentIteration": 0 if result is None else result.iteration,
        }
        self.ledger.write(self.context.output / FILE, general, dialect=self.context.dialect)

    def _end(self) -> JobResult:
        """Finish the classes, name what was left out, and tell what was made."""
        context, classes = self.context, self.classes
        if not self.used:
            self._write_status("ended")
            raise JobError(f"no micrograph of {len(self.ledger.entries)} could be used; {FILE} says why")
        assert classes is not None
        if classes.result is None:
            context.warn(
                f"there are {len(self.particles)} particles and begin_with is "
                f"{self.options.first_particles}, so nothing was classified"
            )
        elif self.options.finish:
            classes.finish()
        self._write()
        self._write_status("ended")
        for entry in self.ledger.with_state(LISTED, WAITING, VANISHED, DUPLICATE, BAD):
            context.bad(entry.name, entry.reason)
        files = {
            "particles": context.output / "particles.star",
            "micrographs": context.output / MICROGRAPHS,
        }
        kinds = {"particles": "particles", "micrographs": "micrographs"}
        for name, kind in kinds.items():
            context.add_output(files[name], kind)
        for name, kind in coordinate_node(context.dialect, "autopick", "autopick.star").items():
            context.add_output(context.output / name, kind)
        if classes.optimiser is not None:
            for kind in ("data", "model", "optimiser"):
                files[kind] = classes.optimiser.path(f"{kind}.star")
                context.add_output(files[kind], f"class2d_{kind}")
        done, total = len(self.used), len(self.particles)
        return JobResult(
            files=files,
            tables={"particles": self.particles},
            values={"micrographs": done, "particles": total},
            summary=f"{total} particles of {done} micrographs; {classes.sentence}",
        )


def _makes(options: LiveOptions, dialect: str) -> dict[str, str]:
    coordinates = coordinate_node(dialect, "autopick", "autopick.star")
    return {"particles.star": "particles", "micrographs.star": "micrographs", **coordinates}


def _keeps(options: LiveOptions) -> list[str]:
    """What decides particles and classes; how it is watched may change."""
    free = ("stop_after", "settle", "poll", "finish", "memory_gib", "begin_with")
    return [o.name for o in options.declared() if o.name not in free]


JOB = Job(
    name="live",
    folder="Class2D",
    options=LiveOptions,
    run=run,
    process=8,
    label="relion.class2d",
    keeps=_keeps,
    makes=_makes,
    not_repeated="its classes depend on when micrographs came; autopick and extract repeat its particles",
)
