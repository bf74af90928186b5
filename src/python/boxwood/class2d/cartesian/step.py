"""One iteration of 2D classification as RELION 3.1 computes it, from the model before to the next."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.assignments import Assignments
from boxwood.class2d.cartesian.expectation import Expectation, Particle
from boxwood.class2d.cartesian.images import Preparation
from boxwood.class2d.cartesian.maximisation import maximise, next_size
from boxwood.class2d.cartesian.plane import HalfPlane, Lattice
from boxwood.class2d.cartesian.sampling import Grid, perturbation
from boxwood.class2d.cartesian.sums import Sums
from boxwood.class2d.groups import Groups
from boxwood.class2d.model import Model, Shells
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.particles import PolarParticles
from boxwood.class2d.sampling import Sampling
from boxwood.errors import InputError
from boxwood.stopping import check_stop
from boxwood.typing import AnyArray

# Particles that are read and transformed at once.
_BATCH = 256


@dataclass(frozen=True)
class Outcome:
    """What an iteration finds besides the assignments; means are over particles."""

    model: Model
    effective_size: AnyArray
    assignment_entropy: AnyArray
    frc: AnyArray
    log_likelihood: float
    largest: float
    entropy: float
    sampling: Sampling


class CartesianStep:
    """The iterations of one classification.

    Parameters
    ----------
    parameters : Class2DParameters
    particles : PolarParticles
        Where images are read and screened; all of one size.
    ctf_rows : (n, 9) float64, optional
    ctf_mode : int
    groups : Groups
    pixel_size_angstrom : float
    backend, threads : Backend, int
        For the CTF; the rest is NumPy's.

    Raises
    ------
    InputError
        A setting is of another recipe.
    """

    def __init__(
        self,
        parameters: Class2DParameters,
        particles: PolarParticles,
        ctf_rows: AnyArray | None,
        ctf_mode: int,
        groups: Groups,
        pixel_size_angstrom: float,
        backend: Backend,
        threads: int,
    ) -> None:
        if len(particles.form.optics) > 1 or particles.form.optics[0].corrected:
            raise InputError(
                "recipe relion knows one optics group without aberrations and magnification; use plain or "
                "balanced"
            )
        self._parameters, self._particles, self._groups = parameters, particles, groups
        self._ctf_rows, self._ctf_mode, self._pixel = ctf_rows, ctf_mode, pixel_size_angstrom
        self._backend, self._threads, self._box = backend, threads, particles.grid.box

    def __call__(
        self,
        iteration: int,
        model: Model,
        indices: AnyArray,
        assignments: Assignments,
        progress: Callable[[int, int], None],
    ) -> Outcome:
        """Iteration number `iteration` over the particles `indices`; replaces `assignments` by new ones."""
        p, box = self._parameters, self._box
        shells = model.shells or shells_of(model, p.regularisation)
        moved = perturbation(shells.perturbation, p.seed, iteration)
        grid = Grid.of(p.psi_step_deg, p.offset_range_px, p.offset_step_px, moved)
        size = next_size(shells.ssnr, box) if shells.ssnr.any() else min(box, 2 * model.limit)
        plane = HalfPlane(box, size)
        search = Expectation(
            model,
            shells,
            grid,
            plane,
            min(size, self._coarse_size(grid)),
            self._pixel,
            p.adaptive_fraction,
            p.offset_prior == "relion",
        )
        prepare = Preparation(plane, p.mask_diameter_angstrom / (2 * self._pixel))
        norm, done, halves = model.norm.copy(), 0, []
        for half in (0, 1):
            mine = indices[self._groups.half[indices] == half]
            for first in range(0, len(mine), _BATCH):
                batch = mine[first : first + _BATCH]
                self._search(search, prepare, model, batch, assignments, norm)
                done += len(batch)
                progress(done, len(indices))
            halves.append(search.take_sums())
        usable = indices[self._particles.rows.faults[indices] == 0]
        if len(usable) == 0:
            raise InputError("an expectation needs at least one usable particle")
        sums = halves[0] + halves[1]
        found = maximise(
            sums,
            model,
            shells,
            search.references,
            search.lattice,
            prepare.mask,
            regularisation=p.regularisation,
            pixel_size_angstrom=self._pixel,
            perturbation=moved,
            norm=norm if p.norm_correction else None,
            visited=usable,
            particles_per_scale_group=(
                self._groups.particles_per_scale(usable) if p.scale_correction else None
            ),
        )
        mass, n = np.where(sums.class_mass > 0, sums.class_mass, np.nan), len(usable)
        return Outcome(
            found,
            np.nan_to_num(mass**2 / np.maximum(sums.class_square, 1e-30)),
            sums.class_entropy / mass,
            _half_set_frc(halves[0], halves[1], search.lattice, self._particles.grid.rings),
            sums.log_likelihood / n,
            sums.largest / float(sums.class_mass.sum()),
            sums.entropy / n,
            Sampling(len(grid.fine_psi_deg), grid.fine_offsets_px),
        )

    def _coarse_size(self, grid: Grid) -> int:
        """Pixels that resolve two thirds of the arc of an angular step at the mask's rim."""
        arc = np.pi * self._parameters.mask_diameter_angstrom / len(grid.psi_deg)
        return 2 * int(np.ceil(1.5 * self._pixel * self._box / arc))

    def _search(
        self,
        search: Expectation,
        prepare: Preparation,
        model: Model,
        batch: AnyArray,
        assignments: Assignments,
        norm: AnyArray,
    ) -> None:
        images, fine = self._particles.read(0, batch)
        batch = batch[fine]
        if len(batch) == 0:
            return
        # Half a pixel goes away from zero, as with C's round.
        offset = assignments.offset_px[batch]
        centres = (np.sign(offset) * np.floor(np.abs(offset) + 0.5)).astype(np.int64)
        transforms = prepare(images[fine], model.mean_norm / model.norm[batch], centres)
        ctf = self._ctf(batch, prepare.plane) * model.scale[self._groups.scale[batch], None]
        for row, index in enumerate(batch):
            check_stop()
            found = search.search(
                Particle(
                    transforms.plain[row],
                    transforms.masked[row],
                    transforms.power[row],
                    ctf[row].astype(np.float32),
                    int(self._groups.noise[index]),
                    int(self._groups.scale[index]),
                    centres[row].astype(np.float64),
                )
            )
            assignments.class_index[index] = found.class_index
            assignments.psi_deg[index] = found.psi_deg
            assignments.offset_px[index] = found.offset_px
            assignments.largest[index] = found.largest
            assignments.log_likelihood[index] = found.log_likelihood
            assignments.significant[index] = found.significant
            norm[index] = found.norm * model.norm[index] / model.mean_norm

    def _ctf(self, batch: AnyArray, plane: HalfPlane) -> AnyArray:
        if self._ctf_rows is None:
            return np.ones((len(batch), len(plane.shells)), dtype=np.float32)
        frequencies = (plane.frequencies / (self._box * self._pixel)).astype(np.float32)
        return self._backend.ctf(self._ctf_rows[batch], frequencies, self._ctf_mode, self._threads)


def shells_of(model: Model, regularisation: float) -> Shells:
    """Shells of a model that was made on rings; those that it lacks, first and last, are as the next."""
    box = model.references.shape[1]
    unit, rings = 2.0 * box**4, model.sigma2.shape[1]
    nearest = np.clip(np.arange(box // 2 + 1) - 1, 0, rings - 1)
    ssnr = model.ssnr[:, nearest]
    ssnr[:, rings + 1 :] = 0.0
    return Shells(
        model.sigma2[:, nearest] / unit,
        model.tau2[:, nearest] / (unit * regularisation),
        ssnr,
        np.zeros((len(ssnr), 2)),
        0.0,
    )


def _half_set_frc(one: Sums, two: Sums, lattice: Lattice, rings: int) -> AnyArray:
    """(k, rings) correlation of the plain averages of two halves."""
    averages = []
    for half in (one, two):
        floor = 1e-3 * lattice.shell_means(half.denominator)[:, np.maximum(lattice.shells, 0)]
        denominator = np.maximum(half.denominator, floor)
        averages.append(
            np.divide(half.numerator, denominator, where=denominator > 0, out=np.zeros_like(half.numerator))
        )
    a, b = averages
    common = lattice.shell_means((a * b.conj()).real)
    power = lattice.shell_means(np.abs(a) ** 2) * lattice.shell_means(np.abs(b) ** 2)
    frc = np.where(power > 0, common / np.sqrt(np.where(power > 0, power, 1)), 0.0)[:, 1 : rings + 1]
    return np.pad(frc, ((0, 0), (0, rings - frc.shape[1])))
