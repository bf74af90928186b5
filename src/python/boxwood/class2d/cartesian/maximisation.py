"""Maximisation by RELION's arithmetic: class averages, spectra and corrections from sums.

Equations: docs/class2d.md, "RELION's own arithmetic".
"""

from dataclasses import replace

import numpy as np
from scipy.special import iv, jv

from boxwood.class2d.cartesian.plane import PADDING, HalfPlane, Lattice, interpolation_decline
from boxwood.class2d.cartesian.sums import Sums
from boxwood.class2d.maximisation import FIRST_REGULARISED_RING, LOOK_AHEAD, new_scale
from boxwood.class2d.model import Model, Shells
from boxwood.imaging.masks import radius_grid, soft_circle
from boxwood.imaging.spectrum import last_ring_reaching
from boxwood.typing import AnyArray

# Rounds of density compensation (--gridding_iter), and the blob that evens out densities: its radius in
# pixels of the images' transforms, and its shape.
_ROUNDS = 10
_BLOB_RADIUS, _BLOB_ALPHA = 1.9, 15.0
_EDGE_PX = 3.0


def resolution_shell(ssnr: AnyArray) -> int:
    """The last shell before the signal-to-noise ratio (k, shells) of the best class falls below 1."""
    return max(int(last_ring_reaching(ssnr[:, 1:], 1.0).max(initial=0)), FIRST_REGULARISED_RING)


def next_size(ssnr: AnyArray, box: int) -> int:
    """Edge in pixels of the transforms that are compared after averages of `ssnr` (k, shells)."""
    return min(box, 2 * (resolution_shell(ssnr) + LOOK_AHEAD))


def compensated(lattice: Lattice, numerator: AnyArray, denominator: AnyArray) -> AnyArray:
    """Numerator over denominator, each point weighted by how few others there are around it.

    (2 edge + 1, edge + 1) each. Weights w follow from ten rounds of w <- w / |(w denominator) * blob|:
    Pipe and Menon, Magn. Reson. Med. 41:179 (1999). They begin with 1, whatever the denominator.
    """
    width = 2 * lattice.edge + 1
    decline = np.fft.ifftshift(_blob_transform(radius_grid((width, width)) / (PADDING * lattice.box)))
    inside = lattice.radius < PADDING * (lattice.size // 2)
    weight = inside.astype(np.float64)
    for _ in range(_ROUNDS):
        real_space = np.fft.irfft2(np.fft.ifftshift(weight * denominator, axes=0), s=(width, width))
        density = np.fft.fftshift(np.fft.rfft2(real_space * decline), axes=0)
        weight = np.where(inside, weight / np.maximum(np.abs(density), 1e-6), 0.0)
    return numerator * weight


def _blob_transform(frequency: AnyArray) -> AnyArray:
    """Transform of the Kaiser-Bessel function in three dimensions, 1 at 0.

    Lewitt, J. Opt. Soc. Am. A 7:1834 (1990), order 0.
    """
    w = 2 * np.pi * _BLOB_RADIUS * PADDING * frequency
    s = np.maximum(np.sqrt(np.abs(_BLOB_ALPHA**2 - w**2)), 1e-6)
    inner = w < _BLOB_ALPHA
    values = np.where(inner, iv(1.5, np.where(inner, s, 1.0)), jv(1.5, np.where(inner, 1.0, s)))
    return values / s**1.5 / (iv(1.5, _BLOB_ALPHA) / _BLOB_ALPHA**1.5)


def reconstruct(lattice: Lattice, sums: Sums, inverse_tau2: AnyArray) -> AnyArray:
    """(k, box, box) averages; `inverse_tau2` (k, shells) is added to the denominators."""
    box = lattice.box
    values = np.zeros(sums.numerator.shape, dtype=np.complex128)
    prior = inverse_tau2[:, np.maximum(lattice.shells, 0)]
    for k in np.flatnonzero(sums.class_mass > 0):
        mass = sums.class_mass[k]
        denominator = np.where(lattice.shells >= 0, sums.denominator[k] + prior[k], 0.0)
        values[k] = compensated(lattice, sums.numerator[k] / mass, denominator / mass)
    images = lattice.to_images(values)
    inside = soft_circle((box, box), box / 2, _EDGE_PX)
    outside = 1.0 - inside
    background = np.einsum("kyx,yx->k", images, outside) / outside.sum()
    images = images * inside + background[:, None, None] * outside
    return images / interpolation_decline((box, box), box)


def maximise(
    sums: Sums,
    model: Model,
    shells: Shells,
    references: AnyArray,
    lattice: Lattice,
    mask: AnyArray,
    *,
    regularisation: float,
    pixel_size_angstrom: float,
    perturbation: float,
    norm: AnyArray | None,
    visited: AnyArray,
    particles_per_scale_group: AnyArray | None,
) -> Model:
    """The next model.

    `references` are transforms of the averages so far, whose power is the prior; `mask` (box, box) is for
    the new ones. `norm`: new residual amplitudes, or None to keep, and `visited`: the particles whose
    amplitudes are new; `particles_per_scale_group`: to correct the grey scale of micrographs, or None.
    """
    box, used, total = lattice.box, lattice.size // 2 + 1, float(sums.class_mass.sum())
    tau2, ssnr = np.zeros(shells.tau2.shape), np.zeros(shells.ssnr.shape)
    tau2[:, :used] = 0.5 * lattice.shell_means(np.abs(references) ** 2)
    # Both members of a pair and both axes of the finer lattice: as much as the images give.
    mean = PADDING**2 * lattice.shell_means(sums.denominator)
    ssnr[:, :used] = regularisation * tau2[:, :used] * mean
    prior = PADDING**2 * regularisation * tau2[:, :used]
    inverse_tau2 = np.where(prior > 0, 1 / np.where(prior > 0, prior, 1.0), 1e3 * mean)
    inverse_tau2[:, :FIRST_REGULARISED_RING] = 0.0
    averages = (reconstruct(lattice, sums, inverse_tau2) * mask).astype(np.float32)
    pixels = np.bincount(HalfPlane(box, box).shells)
    noise = sums.residual / (2 * np.maximum(sums.group_mass, 1e-12)[:, None] * pixels)
    noise = np.where(noise > 0, noise, shells.noise)
    new = Shells(noise, tau2, ssnr, sums.offset / total, perturbation)
    unit = 2.0 * box**4
    rings = slice(1, box // 2)
    found = replace(
        model,
        references=averages,
        shares=sums.class_mass / total,
        sigma2=unit * noise[:, rings],
        tau2=unit * regularisation * tau2[:, rings],
        ssnr=ssnr[:, rings],
        sigma_offset_px=max(float(np.sqrt(sums.offset_square / (2 * total))) / pixel_size_angstrom, 1e-3),
        limit=min(next_size(ssnr, box) // 2, model.sigma2.shape[1] - 1),
        refilled=0,
        shells=new,
    )
    if norm is not None:
        found = replace(found, norm=norm, mean_norm=float(norm[visited].sum()) / total)
    if particles_per_scale_group is not None:
        found = replace(found, scale=new_scale(sums, model, particles_per_scale_group))
    return found
