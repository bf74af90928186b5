"""The running classification of a live job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.class2d import Class2DParameters, Groups, IterationResult, classify2d, grow, set_back
from boxwood.class2d.minibatch import MiniBatches
from boxwood.jobs.class2d.convergence import add_iteration, convergence_table, empty_history
from boxwood.jobs.class2d.files import (
    IterationFiles,
    earlier_optimisers,
    newest,
    read_iteration,
    start_particles,
    write_iteration,
)
from boxwood.jobs.class2d.memory import with_room_for_rows
from boxwood.jobs.class2d.state import Settings, State
from boxwood.jobs.context import JobContext

if TYPE_CHECKING:
    from boxwood.class2d import OpticsGroup
    from boxwood.io.particles import ParticleSet
    from boxwood.jobs.class2d.particles import ParticleData

# Files of an iteration that are no more needed once another was written; averages and models stay.
_PASSING = ("optimiser.star", "state.npz", "data.star", "sampling.star")
# Iterations to go on from that are kept.
_KEPT = 2


class LiveClasses:
    """Mini-batches over particles whose number grows.

    Attributes
    ----------
    result : IterationResult or None
        None until there are particles enough.
    """

    def __init__(self, parameters: Class2DParameters, first_particles: int, context: JobContext) -> None:
        self.parameters = replace(parameters, algorithm="vdam", unseen_first=True)
        self.first_particles, self.context = first_particles, context
        self.result: IterationResult | None = None
        self._history = empty_history()
        self._steps: Iterator[IterationResult] | None = None
        self._data: ParticleData | None = None
        self._groups: Groups | None = None
        self._settings = Settings(self.parameters)
        self._optics: tuple[OpticsGroup, ...] = ()
        self._written = -1

    def resume(self) -> None:
        """Go on from the newest iteration in the job's folder, if there is one."""
        newest_optimiser = newest(self.context.output)
        if newest_optimiser is None:
            return
        state, data = read_iteration(IterationFiles.of(newest_optimiser))
        self.result, self._history, self._settings = state.result, state.history, state.settings
        self.parameters = replace(state.settings.parameters, memory_gib=self.parameters.memory_gib)
        self._data, self._groups = data, groups_of(data)
        self._written = state.result.iteration
        self._optics = state.optics
        self.context.log(f"going on after iteration {self._written} with {len(data.particles)} particles")

    def add(self, particles: ParticleSet, *, ctf: bool) -> None:
        """Take the particles there are now for those there were, which are among them."""
        if len(particles) < self.first_particles and self.result is None:
            return
        self._settings = replace(self._settings, ctf=ctf)
        data = start_particles(particles, self._settings)
        source, now = data.source(), groups_of(data)
        if self.result is not None:
            assert self._data is not None and self._groups is not None
            known = pd.Index(data.particles.table["rlnImageName"])
            places = known.get_indexer(pd.Index(self._data.particles.table["rlnImageName"]))
            if (places < 0).any():
                lost = self._data.particles.table["rlnImageName"].iloc[int(np.argmax(places < 0))]
                raise ValueError(f"particle {lost} was classified and is there no more")
            if len(data.particles) > len(places):
                grown = grow(self.result, places, self._groups, now)
                self.parameters, self.result = set_back(
                    self.parameters, grown, len(places), len(data.particles)
                )
                self._make_room()
        self._data, self._groups = data, now
        self._optics = tuple(data.optics(source, self.context.warn))
        self._begin(source)

    def _begin(self, source: object) -> None:
        data = self._data
        assert data is not None
        self._steps = classify2d(
            source,  # type: ignore[arg-type]
            data.ctf_rows,
            optics=self._optics,
            optics_groups=data.optics_group,
            parameters=with_room_for_rows(self.parameters, data),
            ctf_mode=data.ctf_mode,
            noise_groups=data.noise_group,
            micrographs=data.scale_group,
            psi_deg=None if self.result is None else self.result.assignments.psi_deg,
            offset_px=None if self.result is None else self.result.assignments.offset_px,
            start=self.result,
            threads=self.context.threads,
            progress=lambda *_: self.context.check_abort(),
            warn=self.context.warn,
        )

    def _make_room(self) -> None:
        """See that enough of the schedule is left for all new particles to be seen."""
        assert self.result is not None
        p, iteration = self.parameters, self.result.iteration
        size = MiniBatches.of(p).size_at(iteration + 1, len(self.result.faults))
        needed = -(-self.unseen // size)
        least = iteration + 1 + needed - p.mini_batches
        self.parameters = replace(p, restarted=min(iteration, max(p.restarted, least)))

    @property
    def unseen(self) -> int:
        """Particles that have no class yet and may get one."""
        if self.result is None:
            return 0
        return int(((self.result.assignments.class_index < 0) & (self.result.faults == 0)).sum())

    @property
    def can_improve(self) -> bool:
        """Whether a mini-batch is left before the one over all particles, which comes in the end."""
        if self._steps is None:
            return False
        done = 0 if self.result is None else self.result.iteration
        return done < self.parameters.last_iteration - 1

    @property
    def is_written(self) -> bool:
        return self.result is None or self._written == self.result.iteration

    def improve(self) -> None:
        """One mini-batch."""
        if self.can_improve:
            self._step()

    def see_all(self) -> None:
        """Mini-batches until every particle has a class."""
        while self.can_improve and (self.result is None or self.unseen):
            self._step()

    def finish(self) -> None:
        """The rest of the schedule, the last iteration over all particles included."""
        while self._steps is not None and (
            self.result is None or self.result.iteration < self.parameters.last_iteration
        ):
            self._step()
            assert self.result is not None
            self.context.progress(
                self.result.iteration - self.parameters.restarted,
                self.parameters.mini_batches,
                "mini-batches of the last schedule",
            )

    def _step(self) -> None:
        assert self._steps is not None
        self.result = next(self._steps)
        self._history = add_iteration(self._history, self.result)

    def unseen_micrographs(self) -> set[str]:
        """Micrographs with particles that have no class yet."""
        if self.result is None or self._data is None:
            return set()
        waiting = (self.result.assignments.class_index < 0) & (self.result.faults == 0)
        return set(self._data.particles.table["rlnMicrographName"][waiting].astype(str))

    def micrographs(self) -> set[str]:
        """Micrographs whose particles take part."""
        if self.result is None or self._data is None:
            return set()
        return set(self._data.particles.table["rlnMicrographName"].astype(str))

    def write(self) -> None:
        """Write the files of the iteration; of earlier ones averages and models are kept."""
        if self.is_written:
            return
        assert self.result is not None and self._data is not None
        files = IterationFiles(self.context.name + "run", self.result.iteration)
        settings = replace(self._settings, parameters=self.parameters)
        data = self._data
        state = State(self.result, settings, data.root, data.ctf_rows, self._history, self._optics)
        write_iteration(files, state, data, dialect=self.context.dialect)
        self._written = self.result.iteration
        for optimiser in earlier_optimisers(files)[: 1 - _KEPT]:
            earlier = IterationFiles.of(optimiser)
            for kind in _PASSING:
                earlier.path(kind).unlink(missing_ok=True)

    @property
    def sentence(self) -> str:
        """How the classes are, for the log."""
        if self.result is None:
            return "no classes yet"
        row = convergence_table(self._history).iloc[-1]
        return (
            f"iteration {self.result.iteration}: {row.populated_classes:.0f} of {self.parameters.classes} "
            f"classes populated, the best at {row.resolution_angstrom:.1f} Å"
        )

    @property
    def optimiser(self) -> IterationFiles | None:
        """The files of the iteration written last."""
        return None if self._written < 0 else IterationFiles(self.context.name + "run", self._written)


def groups_of(data: ParticleData) -> Groups:
    """Which particles share optics, noise and grey scale."""
    n, groups = len(data.particles), int(data.optics_group.max()) + 1
    return Groups.of(n, groups, data.optics_group, data.noise_group, data.scale_group, None)
