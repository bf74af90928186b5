"""Expectation by RELION's arithmetic: two passes over coefficients of the Cartesian plane.

Equations and order of RELION's steps: docs/class2d.md, "RELION's own arithmetic".
"""

from dataclasses import dataclass

import numpy as np

from boxwood.class2d.cartesian.plane import HalfPlane, Lattice
from boxwood.class2d.cartesian.sampling import Grid
from boxwood.class2d.cartesian.sums import Sums
from boxwood.class2d.model import Model, Shells
from boxwood.typing import AnyArray

# Signal-to-noise ratio above which a shell of a class counts for the grey scale of micrographs.
_STRONG_SIGNAL = 3.0


@dataclass(frozen=True)
class Particle:
    """One particle as it is compared.

    Attributes
    ----------
    plain, masked : (m,) complex64
        Transforms of the image, and of the masked image.
    power : (box / 2 + 1,) float64
        Sums of the latter's |F|^2 over all shells.
    ctf : (m,) float32
        Times the grey scale of the micrograph.
    noise_group, micrograph : int
    centre_px : (2,) float64
        Whole pixels by which it was moved.
    """

    plain: AnyArray
    masked: AnyArray
    power: AnyArray
    ctf: AnyArray
    noise_group: int
    micrograph: int
    centre_px: AnyArray


@dataclass(frozen=True)
class Found:
    """The best sample of a particle; `norm` is the residual amplitude of the image as it was compared."""

    class_index: int
    psi_deg: float
    offset_px: AnyArray
    largest: float
    log_likelihood: float
    significant: int
    norm: float


@dataclass(frozen=True)
class _Samples:
    """The fine samples of one particle: slices of classes (rows) by offsets (columns)."""

    weights: AnyArray
    slices: AnyArray
    power: AnyArray
    class_index: AnyArray
    angle: AnyArray
    offset: AnyArray


def significant(weights: AnyArray, fraction: float) -> AnyArray:
    """(n,) bool: the largest weights (n,) that are needed for more than `fraction` of their sum."""
    falling = np.sort(weights)[::-1]
    total = np.cumsum(falling, dtype=np.float64)
    needed = int(np.searchsorted(total, fraction * total[-1], side="right"))
    return weights >= falling[min(needed, len(falling) - 1)]


class Expectation:
    """Searches particles one by one, and sums up what is found until `take_sums`.

    Parameters
    ----------
    model : Model
    shells : Shells
    grid : Grid
    plane : HalfPlane
        The coefficients in use.
    coarse_size : int
        Edge in pixels of the transforms of the first pass.
    pixel_size_angstrom : float
    fraction : float
        Of the posterior that goes from the first pass to the second, and from there to the sums.
    mixed_units : bool
        Whether the prior of offsets adds pixels and Angstrom, as that of RELION 3.1 to 5.0.
    """

    def __init__(
        self,
        model: Model,
        shells: Shells,
        grid: Grid,
        plane: HalfPlane,
        coarse_size: int,
        pixel_size_angstrom: float,
        fraction: float,
        mixed_units: bool,
    ) -> None:
        self.grid, self.plane, self.lattice = grid, plane, Lattice(plane.box, plane.size)
        self.references = self.lattice.of_images(model.references)
        self._pixel, self._fraction, self._mixed = pixel_size_angstrom, fraction, mixed_units
        self._prior_offset = shells.prior_offset_angstrom[:, None]
        self._sigma_offset = model.sigma_offset_px * pixel_size_angstrom
        with np.errstate(divide="ignore"):
            self._log_shares = np.log(model.shares)

        coarse = self.lattice.slices(self.references, plane, np.deg2rad(grid.psi_deg))
        self._coarse = plane.within(coarse_size)
        reached = np.hypot(*plane.frequencies[: self._coarse].T) <= coarse_size // 2
        self._coarse_slices = np.where(reached, coarse[:, :, : self._coarse], 0).reshape(-1, self._coarse)
        self._coarse_power = np.abs(self._coarse_slices) ** 2
        self._coarse_phases = plane.phases(grid.offsets_px)[:, : self._coarse]
        self._fine_rad = np.deg2rad(grid.fine_psi_deg)
        self._slices = self.lattice.slices(self.references, plane, self._fine_rad)
        self._phases = plane.phases(grid.fine_offsets_px)

        noise = shells.noise[:, plane.shells]
        self._weight_in_sums = (1.0 / noise).astype(np.float32)
        self._weight = self._weight_in_sums.copy()
        self._weight[:, 0] = 0.0  # f = 0 is averaged but not compared
        # Every coefficient counts in the likelihood, those that are not in use as noise.
        count = np.bincount(HalfPlane(plane.box, plane.box).shells)
        self._half_inverse_noise = 0.5 / shells.noise
        self._half_inverse_noise[:, 0] = 0.0
        self._log_noise = (np.log(2 * np.pi * shells.noise * plane.box**4) * count)[:, 1:].sum(axis=1)
        self._strong = shells.ssnr[:, plane.shells] > _STRONG_SIGNAL

        classes, angles = len(model.shares), len(self._fine_rad)
        self._shapes = (classes, self.lattice.shells.shape, shells.noise.shape, len(model.scale))
        self._numerator = np.zeros((classes, angles, len(plane.shells)), dtype=np.complex64)
        self._denominator = np.zeros((classes, angles, len(plane.shells)), dtype=np.float32)
        self._sums = Sums.nothing(*self._shapes)

    def take_sums(self) -> Sums:
        """What was summed up since the last time."""
        sums, self._sums = self._sums, Sums.nothing(*self._shapes)
        sums.numerator = self.lattice.insert(self._numerator, self.plane, self._fine_rad)
        sums.denominator = self.lattice.insert(self._denominator, self.plane, self._fine_rad)
        self._numerator[:], self._denominator[:] = 0, 0
        return sums

    def search(self, particle: Particle) -> Found:
        """Find one particle and add it to the sums."""
        prior = self._log_prior(particle.centre_px)
        first = self._first_pass(particle).reshape(len(prior), -1, prior.shape[1]) + prior[:, None]
        weights = np.exp(first - first.max())
        chosen = significant(weights.ravel(), self._fraction).reshape(weights.shape)
        log, samples = self._second_pass(particle, chosen, prior)
        top = float(log.max())
        weights = np.exp(log - top)
        total = float(weights.sum(dtype=np.float64))
        samples.weights[:] = weights * significant(weights.ravel(), self._fraction).reshape(log.shape) / total
        row, column = np.unravel_index(int(log.argmax()), log.shape)
        noise = float(self._half_inverse_noise[particle.noise_group] @ particle.power)
        log_likelihood = top + np.log(total) - noise - self._log_noise[particle.noise_group]
        norm = self._add(particle, samples)
        largest = float(samples.weights[row, column])
        self._sums.log_likelihood += log_likelihood
        self._sums.largest += largest
        return Found(
            int(samples.class_index[row]),
            float(self.grid.fine_psi_deg[samples.angle[row]]),
            particle.centre_px + self.grid.fine_offsets_px[samples.offset[column]],
            largest,
            log_likelihood,
            int(chosen.sum()),
            norm,
        )

    def _log_prior(self, centre_px: AnyArray) -> AnyArray:
        """(k, t) of classes and coarse offsets; the latter as they were before they were moved."""
        a, still = self._pixel, self.grid.prior_offsets_px
        if self._mixed:
            distance = a * (centre_px + a * still - self._prior_offset)
        else:
            distance = a * (centre_px + still) - self._prior_offset
        return self._log_shares[:, None] - (distance**2).sum(axis=2) / (2 * self._sigma_offset**2)

    def _first_pass(self, particle: Particle) -> AnyArray:
        """(k angles, t) log-likelihoods of coarse samples, but for a constant."""
        used = slice(0, self._coarse)
        weight, ctf = self._weight[particle.noise_group, used], particle.ctf[used]
        images = self._coarse_phases * (particle.masked[used] * ctf * weight)
        cross = self._coarse_slices.view(np.float32) @ images.view(np.float32).T
        return cross - 0.5 * (self._coarse_power @ (ctf**2 * weight))[:, None]

    def _second_pass(
        self, particle: Particle, chosen: AnyArray, prior: AnyArray
    ) -> tuple[AnyArray, _Samples]:
        """Log-likelihoods of the fine samples around the `chosen` coarse ones (k, angles, t)."""
        classes, angles = np.nonzero(chosen.any(axis=2))
        offsets = np.flatnonzero(chosen.any(axis=(0, 1)))
        around = chosen[classes, angles][:, offsets].repeat(2, axis=0).repeat(4, axis=1)
        class_index = classes.repeat(2)
        angle = (2 * angles[:, None] + np.arange(2)).ravel()
        offset = (4 * offsets[:, None] + np.arange(4)).ravel()
        slices = self._slices[class_index, angle]
        power = slices.real**2 + slices.imag**2
        weight, ctf = self._weight[particle.noise_group], particle.ctf
        images = self._phases[offset] * (particle.masked * ctf * weight)
        cross = slices.view(np.float32) @ images.view(np.float32).T
        log = cross - 0.5 * (power @ (ctf**2 * weight))[:, None] + prior[class_index][:, offset // 4]
        log = np.where(around, log, -np.inf)
        return log, _Samples(np.zeros(log.shape, np.float32), slices, power, class_index, angle, offset)

    def _add(self, particle: Particle, found: _Samples) -> float:
        """Add a particle; returns the residual amplitude."""
        sums, group, ctf = self._sums, particle.noise_group, particle.ctf
        used = np.flatnonzero(found.weights.any(axis=1))
        weights, slices, power = found.weights[used], found.slices[used], found.power[used]
        class_index, angle = found.class_index[used], found.angle[used]
        mass = weights.sum(axis=1)
        moved = (weights @ self._phases[found.offset].view(np.float32)).view(np.complex64)
        over_noise = ctf * self._weight_in_sums[group]
        self._numerator[class_index, angle] += moved * (particle.plain * over_noise)
        self._denominator[class_index, angle] += mass[:, None] * (ctf * over_noise)

        image = moved * particle.masked
        cross = (slices.real * image.real + slices.imag * image.imag) * ctf
        model = mass[:, None] * power * ctf**2
        strong = self._strong[class_index]
        sums.signal_image[particle.micrograph] += (cross * strong).sum(dtype=np.float64)
        sums.signal_model[particle.micrograph] += (model * strong).sum(dtype=np.float64)
        residual = np.abs(particle.masked) ** 2 * mass.sum() + (model - 2 * cross).sum(axis=0)
        left = particle.power.copy()
        left[: self.plane.size // 2 + 1] = self.plane.shell_sums(residual.astype(np.float64))
        sums.residual[group] += left
        sums.group_mass[group] += mass.sum(dtype=np.float64)

        p = np.bincount(class_index, weights=mass, minlength=len(sums.class_mass))
        sums.class_mass += p
        sums.class_square += p**2
        sums.class_entropy -= p * (p * np.log(np.where(p > 0, p, 1))).sum()
        kept = weights[weights > 0].astype(np.float64)
        sums.entropy -= float((kept * np.log(kept)).sum())
        self._add_offsets(particle.centre_px + self.grid.fine_offsets_px[found.offset], class_index, weights)
        return float(np.sqrt(2 * left.sum()))

    def _add_offsets(self, places_px: AnyArray, class_index: AnyArray, weights: AnyArray) -> None:
        """Of offsets (t, 2) with weights (rows, t)."""
        sums = self._sums
        by_class = np.zeros((len(sums.class_mass), len(places_px)))
        np.add.at(by_class, class_index, weights)
        sums.offset += by_class @ places_px * self._pixel
        distance = places_px - self._prior_offset / (1.0 if self._mixed else self._pixel)
        sums.offset_square += float((by_class * (distance**2).sum(axis=2)).sum()) * self._pixel**2
