"""The fixed part of a 2D classification, its first model, and the step from one model to the next."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex

import numpy as np

from boxwood.backends import Backend, cpu_status, native_bf16
from boxwood.class2d.accuracy import TRIALS, model_accuracies
from boxwood.class2d.assignments import Assignments
from boxwood.class2d.cartesian.step import CartesianStep
from boxwood.class2d.convergence import changes
from boxwood.class2d.expectation import Search, expectation
from boxwood.class2d.groups import Groups
from boxwood.class2d.initialise import initial_model
from boxwood.class2d.maximisation import Prior, maximise, turn_back
from boxwood.class2d.measures import ClassMeasures, class_measures, overall_accuracies
from boxwood.class2d.merge import find_duplicates, merge
from boxwood.class2d.minibatch import MiniBatches, centre, follow, rescale
from boxwood.class2d.model import Model
from boxwood.class2d.optics import OpticsGroup, SampledOptics
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.particles import BackgroundNoise, FixedPoses, PolarForm, PolarParticles, Rows
from boxwood.class2d.posterior import Posterior
from boxwood.class2d.refill import refill
from boxwood.class2d.result import IterationResult
from boxwood.class2d.sampling import LARGEST_PSI_STEP_DEG, Sampling, coarser_steps, make_sampling
from boxwood.class2d.screening import (
    check_enough,
    check_grey_scale,
    complaints,
    ctf_faults,
    normalised,
    sample,
    usual_deviation,
)
from boxwood.class2d.source import ImageSource
from boxwood.class2d.statistics import Statistics
from boxwood.errors import InputError
from boxwood.execution import Executor
from boxwood.imaging.centring import shortened
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray

# Width in pixels of the soft edge of masks, RELION's --maskedge.
MASK_EDGE_PX = 5.0
# Share of the first pass's posterior that is searched where only the best sample counts.
HARD_FRACTION = 0.9


class Classification:
    """The fixed part of a classification: particles, grid, sampling.

    Class averages have the pixels and the box of the first optics group.

    Attributes
    ----------
    complaints : list of str
        What looks wrong with the images as a whole, in sentences.
    """

    def __init__(
        self,
        source: ImageSource,
        ctf_rows: AnyArray | None,
        optics: Sequence[OpticsGroup],
        optics_groups: AnyArray | None,
        parameters: Class2DParameters,
        ctf_mode: int,
        noise_groups: AnyArray | None,
        micrographs: AnyArray | None,
        half_sets: AnyArray | None,
        psi_deg: AnyArray,
        offset_px: AnyArray,
        backend: Backend,
        executor: Executor,
    ) -> None:
        self.parameters, self.backend, self.executor = parameters, backend, executor
        self.threads = executor.here.threads
        n = len(source)
        if n == 0:
            raise InputError("there are no particles to classify")
        if ctf_rows is not None and np.shape(ctf_rows) != (n, 9):
            raise InputError(f"ctf_rows has shape {np.shape(ctf_rows)}, expected ({n}, 9)")
        if parameters.recipe == "relion":  # RELION 3.1 reads the name of the MTF and does not use it
            optics = [replace(group, mtf=None) for group in optics]
        model = optics[0]
        self.groups = Groups.of(n, len(optics), optics_groups, noise_groups, micrographs, half_sets)
        optics_of = self.groups.optics
        self.box, self.pixel_size = model.box_px, model.pixel_size_angstrom
        edge = MASK_EDGE_PX * self.pixel_size
        radius = min(parameters.mask_diameter_angstrom / 2, model.size_angstrom / 2 - edge)
        _check_possible(parameters, self.box, self.pixel_size, radius)
        _check_precision(parameters.precision, backend)
        self._psi_deg, self._offset_px = psi_deg, offset_px
        self._psi_prior = None
        if not parameters.turns:  # the images are turned instead, and only the angle 0 is left
            psi = make_sampling(LARGEST_PSI_STEP_DEG, 0.0, 1.0).psi
            self._psi_prior = np.where(np.arange(psi) == 0, 0.0, -1e30).astype(np.float32)
        self.grid = PolarGrid(
            self.box, (radius + edge / 2) / self.pixel_size, parameters.offset_range_px, self.box // 2 - 1
        )
        sampled = [SampledOptics(group, model, self.grid, radius, edge) for group in optics]
        self.mask = sampled[0].mask
        self.largest_limit = self._largest_limit()
        # A quarter of the power: a common prior regularises small classes less than one of their own, and
        # small classes copy the noise of their members, which binds these to them. Mini-batches see other
        # members every time, and get half.
        plain, batches = parameters.recipe != "balanced", parameters.algorithm == "vdam"
        weight = 1.0 if plain else 0.5 if batches else 0.25
        self.prior = Prior(parameters.regularisation * weight, per_class=plain)
        self.batches = MiniBatches.of(parameters) if batches else None
        self.faults = np.zeros(n, dtype=np.int8) if ctf_rows is None else ctf_faults(ctf_rows)
        own = None
        if parameters.normalise:
            own = np.array([min(radius, g.size_angstrom / 2) / g.pixel_size_angstrom for g in optics])
        check_enough(len(self.good), parameters.classes)

        def read(group: int, indices: AnyArray) -> AnyArray:
            images = source.read(indices)
            return images if own is None else normalised(images, float(own[group]), backend, self.threads)

        samples = [sample(partial(read, g), self.good[optics_of[self.good] == g]) for g in range(len(optics))]
        usual = np.array([usual_deviation(images) for images in samples])
        for deviation in usual:
            check_grey_scale(float(deviation))
        found = zip(samples, sampled, strict=True)
        self.complaints = list(
            dict.fromkeys(text for images, own in found for text in complaints(images, own.mask))
        )
        if parameters.mask_diameter_angstrom > model.size_angstrom:
            self.complaints.append(
                f"the mask of {parameters.mask_diameter_angstrom:g} Å is wider than the box of "
                f"{model.size_angstrom:g} Å; it is {2 * radius:.0f} Å wide instead"
            )
        form = PolarForm(
            token_hex(8),
            n,
            self.grid,
            sampled,
            usual,
            ctf_mode,
            parameters.memory_gib,
            None
            if parameters.zero_mask
            else [BackgroundNoise(s, parameters.seed) if len(s) else None for s in samples],
            own,
        )
        rows = Rows.of(
            source,
            self.groups,
            self.faults,
            None if ctf_rows is None else np.asarray(ctf_rows, dtype=np.float64),
            None
            if parameters.turns
            else FixedPoses(psi_deg, 0 * offset_px if parameters.align else offset_px - np.round(offset_px)),
        )
        engine = executor.here.keep("class2d", form.key, lambda: form.engine(backend, self.threads))
        self.particles = PolarParticles(form, rows, engine)
        self._as_relion = None
        if parameters.recipe == "relion":
            self._as_relion = CartesianStep(
                parameters,
                self.particles,
                ctf_rows,
                ctf_mode,
                self.groups,
                self.pixel_size,
                backend,
                self.threads,
            )
        if not parameters.align:  # the mask must be around the particle, not around the box
            self.particles.move(np.arange(n), np.round(offset_px).astype(np.int32))

    @property
    def good(self) -> AnyArray:
        """Indices of the particles that nothing was found wrong with yet."""
        return np.flatnonzero(self.faults == 0)

    def _sampling(self, before: IterationResult | None) -> Sampling:
        """Angles and offsets of the iteration after `before`."""
        p = self.parameters
        if not p.align:
            return make_sampling(LARGEST_PSI_STEP_DEG, 0.0, 1.0)
        psi_step, offset_step = p.psi_step_deg, p.offset_step_px
        if p.allow_coarser_sampling and before is not None:
            accuracies = overall_accuracies(before.measures, before.model.shares)
            psi_step, offset_step = coarser_steps(psi_step, offset_step, p.offset_range_px, *accuracies)
        if p.skip_rotate:
            return make_sampling(LARGEST_PSI_STEP_DEG, p.offset_range_px, offset_step)
        two_pass = p.search == "two-pass"
        return make_sampling(psi_step, p.offset_range_px, offset_step, two_pass=two_pass)

    def _posterior(self, before: IterationResult) -> Posterior | None:
        """Room for the largest samples, with those of particles that are not looked at now."""
        top = self.parameters.save_posterior
        if top and before.posterior is not None:
            return before.posterior.copy()
        return Posterior.empty(len(self.particles), top) if top else None

    def _lowest_ring(self) -> int:
        limit = self.parameters.limit_low_resolution_angstrom
        return 1 if limit is None else int(np.ceil(self.box * self.pixel_size / limit))

    def _largest_limit(self) -> int:
        limit = self.grid.rings - 1
        wanted = self.parameters.limit_resolution_angstrom
        if wanted is not None and wanted > 0:
            limit = min(limit, max(2, round(self.box * self.pixel_size / wanted)))
        return limit

    def begin(self) -> IterationResult:
        """Iteration 0: the initial model, nothing assigned."""
        rng, first = self._rng(0), self.good
        if self.batches is not None:
            some = min(self.batches.memory, len(first))
            first = np.sort(rng.choice(first, some, replace=False))
        model = initial_model(
            self.particles,
            first,
            self.groups.scales,
            self.parameters.classes,
            self.pixel_size,
            self.largest_limit,
            self.parameters.initial_resolution_angstrom,
            rng,
            self.executor,
        )
        n = len(self.particles)
        assignments = Assignments.empty(n)
        assignments.psi_deg[:], assignments.offset_px[:] = self._psi_deg, self._offset_px
        none = ClassMeasures.none(self.parameters.classes, self.grid.rings)
        return IterationResult(
            0,
            model,
            assignments,
            none,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
            0.0,
            self._sampling(None),
            self.pixel_size,
            self.faults.copy(),
        )

    def step(self, before: IterationResult, progress: Callable[[int, int, int], None]) -> IterationResult:
        """One expectation and maximisation."""
        if self._as_relion is not None:
            return self._step_as_relion(self._as_relion, before, progress)
        iteration = before.iteration + 1
        rng = self._rng(iteration)
        sampling = self._sampling(before)
        search = self._search(sampling, before.iteration, rng)
        indices = self._subset(before, rng)
        self._recentre(before.assignments, indices)
        assignments, norm = before.assignments.copy(), before.model.norm.copy()
        posterior = self._posterior(before)
        halves = expectation(
            before.model,
            self.particles,
            indices,
            search,
            assignments,
            norm,
            self.executor,
            lambda done, total: progress(iteration, done, total),
            posterior,
        )
        assignments.class_index[self.faults != 0] = -1
        indices = indices[self.faults[indices] == 0]
        self._keep_known(indices, assignments, posterior)
        one, two = (turn_back(half, self.grid, search.perturbation_rad) for half in halves)
        fresh = one + two
        if iteration in self.parameters.merging:
            duplicates = find_duplicates((one, two), before.model, self.grid, self.backend, self.threads)
            fresh = merge(fresh, duplicates, self.grid)
        model, sums = self._next_model(before, fresh, search.hard, norm, indices, rng)
        changed = changes(before.assignments, assignments, indices)
        settled = iteration > self.parameters.last_scheduled
        return IterationResult(
            iteration,
            model,
            assignments,
            class_measures(halves, self.grid, self._accuracies(model)),
            fresh.log_likelihood / fresh.count,
            fresh.largest / fresh.count,
            fresh.entropy / fresh.count,
            *changed,
            sampling,
            self.pixel_size,
            self.faults.copy(),
            before.convergence.after(changed, int(model.resolution_rings.max()), settled),
            posterior,
            sums,
        )

    def _step_as_relion(
        self,
        step: CartesianStep,
        before: IterationResult,
        progress: Callable[[int, int, int], None],
    ) -> IterationResult:
        """The same by RELION's arithmetic."""
        iteration, assignments = before.iteration + 1, before.assignments.copy()
        indices = self._subset(before, self._rng(iteration))
        found = step(iteration, before.model, indices, assignments, partial(progress, iteration))
        assignments.class_index[self.faults != 0] = -1
        measures = ClassMeasures(
            found.effective_size, found.assignment_entropy, found.frc, *self._accuracies(found.model)
        )
        changed = changes(before.assignments, assignments, indices[self.faults[indices] == 0])
        settled = iteration > self.parameters.last_scheduled
        return IterationResult(
            iteration,
            found.model,
            assignments,
            measures,
            found.log_likelihood,
            found.largest,
            found.entropy,
            *changed,
            found.sampling,
            self.pixel_size,
            self.faults.copy(),
            before.convergence.after(changed, int(found.model.resolution_rings.max()), settled),
        )

    def _search(self, sampling: Sampling, before: int, rng: np.random.Generator) -> Search:
        """How the iteration after number `before` searches: on a grid turned and moved by parts of a step."""
        p, hard = self.parameters, before < self.parameters.hard_iterations
        turn = float(rng.uniform(-0.5, 0.5)) * np.deg2rad(sampling.psi_step_deg) if p.turns else 0.0
        move = rng.uniform(-0.5, 0.5, 2) * sampling.offset_step_px
        return Search(
            sampling.moved(move),
            hard,
            p.cut,
            min(p.adaptive_fraction, HARD_FRACTION) if hard else p.adaptive_fraction,
            perturbation_rad=turn,
            psi_prior=self._psi_prior,
            pixel_size_angstrom=self.pixel_size,
            offset_prior=p.offset_prior,
            lowest_ring=self._lowest_ring(),
            precision=p.precision,
        )

    def _next_model(
        self,
        before: IterationResult,
        fresh: Statistics,
        hard: bool,
        norm: AnyArray,
        visited: AnyArray,
        rng: np.random.Generator,
    ) -> tuple[Model, Statistics | None]:
        """The model that the sums of an expectation make, and what mini-batches remember of them."""
        p, batches, iteration = self.parameters, self.batches, before.iteration + 1
        sums, scaled = fresh, visited
        if batches is not None:
            sums, scaled = batches.sums(iteration, before.sums, fresh, self.grid, len(self.good)), self.good
        center = p.offset_range_px if p.center_classes and p.align else None
        model = maximise(
            sums,
            before.model,
            self.grid,
            self.mask,
            prior=self.prior,
            center=center if batches is None else None,
            largest_limit=self.largest_limit,
            pixel_size_angstrom=self.pixel_size,
            hard=hard,
            norm=_for_all(norm) if p.norm_correction else None,
            visited=visited,
            particles_per_scale_group=self.groups.particles_per_scale(scaled) if p.scale_correction else None,
            backend=self.backend,
            threads=self.threads,
        )
        if batches is not None:
            sums = rescale(sums, before.model, model)
            if center is not None:
                model, sums = centre(model, sums, self.grid, self.mask, center)
        if iteration <= p.last_refill and iteration % p.refill_interval == 0:
            maximised, model = model, refill(model, self.mask, rng)
            if batches is not None:
                sums = follow(sums, maximised, model, self.grid, self.backend, self.threads)
        return model, None if batches is None else sums

    def _accuracies(self, model: Model) -> tuple[AnyArray, AnyArray]:
        """Expected accuracies of angles and offsets, from some of the particles."""
        trials = self.good[:: -(-len(self.good) // TRIALS)]
        return model_accuracies(
            model, self.particles, trials, self.groups, self.backend, self.threads, self._lowest_ring()
        )

    def _keep_known(self, indices: AnyArray, assignments: Assignments, posterior: Posterior | None) -> None:
        """Put back the angles and offsets that were not searched, but taken out of the images."""
        if self.parameters.turns:
            return
        assignments.psi_deg[indices] = self._psi_deg[indices]
        if posterior is not None:
            posterior.psi_deg[indices] = self._psi_deg[indices, None]
        if self.parameters.align:
            return
        assignments.offset_px[indices] = self._offset_px[indices]
        if posterior is not None:
            posterior.offset_px[indices] = self._offset_px[indices, None]

    def _recentre(self, assignments: Assignments, indices: AnyArray) -> None:
        """Search around the last offset, but around a place at most 1.6 ranges from the box centre."""
        if not self.parameters.align:
            return
        offset = shortened(assignments.offset_px[indices], 1.6 * self.parameters.offset_range_px)
        self.particles.move(indices, np.round(offset).astype(np.int32))

    def _subset(self, before: IterationResult, rng: np.random.Generator) -> AnyArray:
        """All usable particles; with fast subsets, RELION's schedule of random parts in early iterations."""
        n, k, iteration = len(self.good), self.parameters.classes, before.iteration + 1
        if self.batches is not None:
            size = self.batches.size_at(iteration, n)
        elif (
            not self.parameters.fast_subsets or iteration > 15 or iteration == self.parameters.last_iteration
        ):
            size = n
        else:
            size = 100 * k if iteration <= 5 else 300 * k if iteration <= 10 else max(300 * k, int(0.3 * n))
        if size >= n:
            return self.good
        if self.parameters.unseen_first:
            unseen = before.assignments.class_index[self.good] < 0
            order = rng.permutation(n)
            return np.sort(self.good[order[np.argsort(~unseen[order], kind="stable")][:size]])
        return np.sort(rng.choice(self.good, size, replace=False))

    def _rng(self, iteration: int) -> np.random.Generator:
        return np.random.default_rng([self.parameters.seed, iteration])


def _check_possible(p: Class2DParameters, box: int, pixel_angstrom: float, radius_angstrom: float) -> None:
    """Refuse what cannot be, or not with images of this size."""
    if not p.align and (p.skip_rotate or p.allow_coarser_sampling):
        raise InputError(
            "without alignment no angles or offsets are searched; leave skip_rotate and "
            "allow_coarser_sampling out"
        )
    nyquist, field = 2 * pixel_angstrom, box * pixel_angstrom
    if radius_angstrom < 2 * pixel_angstrom:
        raise InputError(
            f"a mask of {2 * radius_angstrom:g} Å has less than 4 pixels of {pixel_angstrom:g} Å; give the "
            "diameter of the particle with some room"
        )
    if p.offset_range_px > box / 2:
        raise InputError(
            f"offsets of {p.offset_range_px:g} px lead out of a box of {box} px; search less far"
        )
    first = p.initial_resolution_angstrom
    if first is not None and first <= nyquist:
        raise InputError(
            f"first averages cannot be low-passed to {first:g} Å: these images end at {nyquist:g} Å"
        )
    lowest = p.limit_low_resolution_angstrom
    if lowest is not None and lowest <= nyquist:
        raise InputError(f"nothing is left beyond {lowest:g} Å: these images end at {nyquist:g} Å")
    highest = p.limit_resolution_angstrom
    if highest is not None and highest > field / 2:
        raise InputError(
            f"a limit of {highest:g} Å leaves nothing of images of {field:g} Å; give {field / 2:g} Å or less"
        )


def _check_precision(precision: str, backend: Backend) -> None:
    """Refuse what the CPU would only imitate."""
    if precision == "tf32" and backend.name == "cpu":
        raise InputError("precision tf32 is one of CUDA devices; use float32, or the backend cuda")
    if precision == "bf16" and backend.name == "cpu" and not native_bf16():
        raise InputError(
            f"precision bf16 needs instructions for it, {', '.join(cpu_status()['chosen'])} of this "
            "processor has none; use float32"
        )


def _for_all(norm: AnyArray) -> AnyArray:
    """Particles not measured yet, whose norm is 1, are given the mean of the others."""
    measured = norm != 1.0
    return np.where(measured, norm, norm[measured].mean()) if measured.any() else norm
