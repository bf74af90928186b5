"""Maximisation: new class averages, noise, shares and corrections from the sums of an expectation."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.expectation import ring_weights, samples_of
from boxwood.class2d.model import Model
from boxwood.class2d.statistics import Statistics
from boxwood.imaging.centring import centre_of_mass, shortened
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray

# Rings below this one are averaged without a prior, as RELION's --minres_map.
FIRST_REGULARISED_RING = 5
# The resolution limit may run this many rings ahead of the best class (RELION's --incr_size).
LOOK_AHEAD = 10
# Smallest standard deviation of the offsets, from RELION 5's floor of 2 square Angstrom.
_SMALLEST_SIGMA2_OFFSET_ANGSTROM = 2.0


def reconstruct(
    samples: AnyArray, grid: PolarGrid, mask: AnyArray, backend: Backend, threads: int
) -> AnyArray:
    """(k, samples) transforms to (k, box, box) images inside the mask, their background at zero.

    The zero frequency is not part of the likelihood; it is set by the mean of what the mask takes away.
    """
    used = samples.shape[1]
    rings = int(np.searchsorted(grid.sample_start, used))
    area = np.repeat(
        2 * np.pi * np.arange(1, rings + 1) / grid.ring_samples[:rings], grid.ring_samples[:rings] // 2
    )
    weighted = (samples * (2.0 * area / grid.box**2)).astype(np.complex64)
    images = backend.polar_adjoint(weighted, grid.positions[:used], grid.box, threads).astype(np.float64)
    gone = 1.0 - mask
    background = np.einsum("kyx,yx->k", images, gone) / max(gone.sum(), 1e-6)
    return ((images - background[:, None, None]) * mask).astype(np.float32)


def wiener(
    statistics: Statistics, tau2_before: AnyArray, grid: PolarGrid, prior: "Prior"
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Class transforms on the samples of the rings in use: A = N / (D + 1 / tau2).

    Equations 13 and 14 of docs/class2d.md. `tau2_before` is (k, rings), at least the rings in use.

    Returns
    -------
    samples : (k, samples) complex128
    tau2 : (k, rings in use)
        The prior that was used.
    ssnr : (k, rings in use)
    """
    rings = statistics.denominator.shape[1]
    area = 2 * np.pi * np.arange(1, rings + 1)
    per_sample = np.repeat(area / grid.ring_samples[:rings], grid.ring_samples[:rings] // 2)
    # The harmonics are sums over samples; their series must be divided by the number of samples.
    inverse_count = np.repeat(1.0 / grid.ring_samples[:rings], grid.ring_samples[:rings] // 2)
    numerator = grid.from_harmonics(statistics.numerator, rings) * (inverse_count / per_sample)
    low = statistics.denominator
    denominator = grid.low_harmonics_on_samples(low, rings) * (inverse_count / per_sample)
    denominator = np.maximum(denominator, 0.0)
    mean = low[:, :, 0].real / area
    floor = np.repeat(1e-3 * mean + 1e-20, grid.ring_samples[:rings] // 2, axis=1)
    plain = signal_power(numerator / np.maximum(denominator, floor), grid, rings)
    tau2 = prior.tau2(plain, mean, statistics.class_mass, tau2_before[:, :rings])
    ssnr = tau2 * mean
    inverse_tau2 = 1.0 / np.maximum(tau2, 1e-3 / np.maximum(mean, 1e-12))
    inverse_tau2[:, : FIRST_REGULARISED_RING - 1] = 0.0
    inverse = np.repeat(inverse_tau2, grid.ring_samples[:rings] // 2, axis=1)
    samples = numerator / np.maximum(denominator + inverse, floor)
    samples[statistics.class_mass <= 1e-6] = 0.0
    return samples, tau2, ssnr


@dataclass(frozen=True)
class Prior:
    """How the power of class averages becomes the prior of the next ones."""

    weight: float
    per_class: bool

    def tau2(self, power: AnyArray, mean: AnyArray, mass: AnyArray, before: AnyArray) -> AnyArray:
        """(k, rings) prior power from the (k, rings) power of plain averages and mean denominators.

        Per class: the power of the reference before, as RELION does (without one, that of the plain
        average). In common: what the plain averages have beyond their noise, in
        proportion to the (k,) posterior masses. Less than half a particle is many crumbs, whose noise the
        denominator does not tell, or nothing that was summed: such classes have no say.
        """
        if self.per_class:
            return np.where(before > 0, before, self.weight * power)
        weights = np.where(mass > 0.5, mass, 0.0)
        signal = weights @ (power - 1.0 / np.maximum(mean, 1e-20)) / weights.sum()
        return self.weight * np.tile(np.maximum(signal, 0.0), (len(power), 1))


def signal_power(samples: AnyArray, grid: PolarGrid, rings: int) -> AnyArray:
    """(k, rings) mean |A|^2."""
    return grid.ring_mean(np.abs(samples) ** 2, rings)


def next_limit(model: Model, largest: int) -> int:
    """Resolution limit of the next expectation: LOOK_AHEAD beyond the best class."""
    best = max(int(model.resolution_rings[model.shares > 0].max(initial=0)), FIRST_REGULARISED_RING)
    return int(min(best + LOOK_AHEAD, largest))


def new_noise(statistics: Statistics, model: Model) -> AnyArray:
    """(groups, rings) power of what the model leaves; what was not measured stays as it was."""
    counts = np.maximum(statistics.group_count, 1.0)[:, None]
    sigma2 = statistics.residual / counts
    # Rings that the images of a group do not reach leave exactly nothing, and neither do empty groups.
    return np.where(statistics.residual != 0, np.maximum(sigma2, 1e-4 * model.sigma2), model.sigma2)


class ScaleSums(Protocol):
    """What the grey scales of micrographs (g,) follow from."""

    @property
    def signal_image(self) -> AnyArray: ...

    @property
    def signal_model(self) -> AnyArray: ...


def new_scale(statistics: ScaleSums, model: Model, particles_per_group: AnyArray) -> AnyArray:
    """Grey-scale factors: <model, image> / <model, model>, within a factor 5 of the median, mean 1."""
    if len(model.scale) < 2 or not np.any(statistics.signal_model > 0):
        return model.scale
    factor = model.scale * statistics.signal_image / np.maximum(statistics.signal_model, 1e-20)
    factor = np.where(statistics.signal_model > 0, factor, 1.0)
    median = np.median(factor[particles_per_group > 0])
    if not median > 0:
        return model.scale
    factor = np.clip(factor, median / 5, median * 5)
    return factor / np.average(factor, weights=particles_per_group)


def new_sigma_offset(statistics: Statistics, pixel_size_angstrom: float) -> float:
    """Standard deviation of the offsets along one axis, pixels."""
    variance = statistics.offset_square / (2.0 * statistics.count)
    return float(np.sqrt(max(variance, _SMALLEST_SIGMA2_OFFSET_ANGSTROM / pixel_size_angstrom**2)))


def centring_shifts(images: AnyArray, largest: float) -> AnyArray:
    """(k, 2) shifts x, y that bring the centre of mass of the positive pixels to the centre, limited."""
    return shortened(-centre_of_mass(images)[:, ::-1], largest)


def maximise(
    statistics: Statistics,
    model: Model,
    grid: PolarGrid,
    mask: AnyArray,
    *,
    prior: Prior,
    center: float | None,
    largest_limit: int,
    pixel_size_angstrom: float,
    hard: bool,
    norm: AnyArray | None,
    visited: AnyArray,
    particles_per_scale_group: AnyArray | None,
    backend: Backend,
    threads: int,
) -> Model:
    """The next model.

    `center`: largest recentring of class averages in pixels, or None; `norm`: new residual amplitudes, or
    None to keep, and `visited`: the particles whose amplitudes are new; `particles_per_scale_group`: to
    correct the grey scale of micrographs, or None.
    """
    rings = statistics.denominator.shape[1]
    samples, tau2_used, ssnr_used = wiener(statistics, model.tau2, grid, prior)
    references = reconstruct(samples, grid, mask, backend, threads)
    if center is not None:
        shifts = centring_shifts(references, center)
        shifted = samples * grid.shift_phases(shifts, samples.shape[1])
        references = reconstruct(shifted, grid, mask, backend, threads)
    shares = statistics.shares
    tau2 = np.zeros((len(shares), grid.rings))
    if prior.per_class:  # of the masked average: what the mask spreads to the next rings keeps them open
        tau2 = prior.weight * signal_power(samples_of(references, grid, backend, threads), grid, grid.rings)
    else:
        tau2[:, :rings] = tau2_used
    ssnr = np.zeros((len(shares), grid.rings))
    ssnr[:, :rings] = ssnr_used * (ring_weights(model.limit, rings) > 0)
    new = replace(
        model,
        references=references,
        shares=shares,
        tau2=tau2,
        ssnr=ssnr,
        refilled=0,
        shells=None,
    )
    if not hard:
        new = replace(
            new,
            sigma2=new_noise(statistics, model),
            sigma_offset_px=new_sigma_offset(statistics, pixel_size_angstrom),
        )
        if norm is not None:
            new = replace(new, norm=norm, mean_norm=float(np.mean(norm[visited])))
        if particles_per_scale_group is not None:
            new = replace(new, scale=new_scale(statistics, model, particles_per_scale_group))
    return replace(new, limit=next_limit(new, largest_limit))


def turn_back(statistics: Statistics, grid: PolarGrid, angle: float) -> Statistics:
    """Undo the small common turn of the references during the expectation."""
    if angle == 0.0:
        return statistics
    rings = statistics.denominator.shape[1]
    _, m = grid.packed_order(rings)
    return replace(
        statistics,
        numerator=statistics.numerator * np.exp(-1j * m * angle),
        denominator=statistics.denominator * np.exp(-1j * np.array([0, 2, 4]) * angle),
    )
