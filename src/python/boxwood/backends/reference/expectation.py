"""Expectation of Class2D by direct sums over the samples of whole rings; docs/class2d.md, equations 5-12."""

from typing import Any

import numpy as np

from boxwood.typing import AnyArray


def _packed_order(ring_harmonics: AnyArray) -> tuple[AnyArray, AnyArray]:
    pairs = [
        (r, m)
        for m in range(ring_harmonics[-1] + 1)
        for r in range(len(ring_harmonics))
        if m <= ring_harmonics[r]
    ]
    ring, harmonic = np.array(pairs).T
    return ring, harmonic


def _rotated_reference(
    harmonics: AnyArray, ring: AnyArray, harmonic: AnyArray, r: int, theta: AnyArray
) -> AnyArray:
    """Transform of every class on ring r at the angles theta: (k, len(theta))."""
    mine = ring == r
    m, a = harmonic[mine], harmonics[:, mine] * np.where(harmonic[mine] % 2, 1j, 1)
    # The stored harmonics of negative order follow from the symmetry of a real image.
    value = a @ np.exp(1j * np.outer(m, theta))
    negative = m > 0
    sign = np.where(m % 2, -1, 1)
    return value + (a[:, negative].conj() * sign[negative]) @ np.exp(-1j * np.outer(m[negative], theta))


_SIGNIFICANT_BITS = {"bf16": 8, "tf32": 11}


def _rounded(values: AnyArray, bits: int) -> AnyArray:
    """Real and imaginary parts rounded to so many significant bits, to the nearest or else the even one."""
    parts = np.ascontiguousarray(values, dtype=np.complex128).view(np.float64)
    mantissa, exponent = np.frexp(parts)
    return np.ldexp(np.rint(mantissa * 2.0**bits), exponent - bits).view(np.complex128)


def _harmonics_of_circle(y: AnyArray, theta: AnyArray, m: AnyArray) -> AnyArray:
    """(n, t, m) coefficients of circles (n, t, theta); odd ones lack a factor i, as in the references."""
    return np.einsum("ntj,jm->ntm", y, np.exp(-1j * np.outer(theta, m))) / np.where(m % 2, 1j, 1)


def _rounded_cross(
    references: AnyArray, y: AnyArray, theta: AnyArray, m: AnyArray, angles: AnyArray, bits: int
) -> AnyArray:
    """(n, k, psi, t) real products on one ring, whose inputs are harmonics (k, m) of so many bits."""
    images = _rounded(_harmonics_of_circle(y, theta, m), bits)
    z = np.einsum("km,ntm->nktm", _rounded(references, bits).conj(), images)
    twice = np.where(m > 0, 2, 1)[:, None] * np.exp(-1j * np.outer(m, angles))
    return np.moveaxis((z @ twice).real, 2, 3)


def expectation(
    images: AnyArray,
    ctf: AnyArray,
    group: AnyArray,
    weights: AnyArray,
    scale: AnyArray,
    ring_samples: AnyArray,
    ring_harmonics: AnyArray,
    references: AnyArray,
    power: AnyArray,
    phases: AnyArray,
    log_prior_offset: AnyArray,
    log_prior_class: AnyArray,
    log_prior_psi: AnyArray | None,
    coarse_phases: AnyArray,
    parent: AnyArray,
    coarse_log_prior_offset: AnyArray,
    psi: int,
    hard: bool,
    cut: float,
    fraction: float,
    top: int,
    precision: str,
    threads: int = 1,
) -> dict[str, Any]:
    """See `boxwood.backends.protocol.Backend.expectation`; here in float64.

    Everything is searched and counts; neither the first pass nor `cut` and `fraction` are used.
    """
    n, k, t = len(images), len(references), len(phases)
    rings = len(ring_samples)
    start = np.concatenate([[0], np.cumsum(np.asarray(ring_samples) // 2)])
    ring, harmonic = _packed_order(np.asarray(ring_harmonics))
    references = np.asarray(references, dtype=np.complex128)
    angles = 2 * np.pi * np.arange(psi) / psi
    cross = np.zeros((n, rings, k, psi, t))
    norm = np.zeros((n, rings, k, psi))
    rounded = np.zeros((n, k, psi, t))
    circles = []
    for r in range(rings):
        size = int(ring_samples[r])
        theta = 2 * np.pi * np.arange(size) / size
        part = slice(start[r], start[r + 1])
        half_x = np.asarray(images[:, part], np.complex128) * scale[:, :1]
        x = np.concatenate([half_x, half_x.conj()], axis=1)
        half_phase = np.asarray(phases[:, part], np.complex128)
        phase = np.concatenate([half_phase, half_phase.conj()], axis=1)
        c = np.tile(np.asarray(ctf[:, part], np.float64), 2) * scale[:, 1:]
        w = np.asarray(weights, np.float64)[group, r]
        y = (w[:, None] * c * x)[:, None, :] * phase[None]
        g = w[:, None] * c**2
        circles.append((theta, y, g))
        rotated = np.stack([_rotated_reference(references, ring, harmonic, r, theta + a) for a in angles], 1)
        cross[:, r] = np.einsum("kpj,ntj->nkpt", rotated.conj(), y).real
        if precision != "float32":
            mine, bits = ring == r, _SIGNIFICANT_BITS[precision]
            rounded += _rounded_cross(references[:, mine], y, theta, harmonic[mine], angles, bits)
        low = np.array([0, 2, 4])
        smooth = np.asarray(power, np.complex128)[:, r] * np.where(low, 2, 1)
        b = (smooth[:, None, :] * np.exp(1j * np.outer(angles, low))).reshape(-1, 3)
        spectrum = np.exp(1j * np.outer(low, theta))
        norm[:, r] = (g @ (b @ spectrum).real.T).reshape(n, k, psi)
    value = cross.sum(axis=1) if precision == "float32" else rounded
    total_norm = norm.sum(axis=1)
    if hard:
        safe = np.where(total_norm > 1e-20, total_norm, np.inf)
        value = value / np.sqrt(safe)[..., None]
    else:
        value = value - 0.5 * total_norm[..., None] + np.asarray(log_prior_class)[None, :, None, None]
        value = value + np.asarray(log_prior_offset)[:, None, None, :]
    if log_prior_psi is not None:
        value = value + np.asarray(log_prior_psi, np.float64)[:, None]
    flat = value.reshape(n, -1).argmax(axis=1)
    best = np.stack(np.unravel_index(flat, (k, psi, t)), axis=1).astype(np.int32)
    highest = value.reshape(n, -1).max(axis=1)
    if hard:
        p = np.zeros_like(value)
        p.reshape(n, -1)[np.arange(n), flat] = 1.0
    else:
        p = np.exp(value - value.max(axis=(1, 2, 3), keepdims=True))
    total = p.sum(axis=(1, 2, 3))
    p /= total[:, None, None, None]
    largest = np.argsort(-p.reshape(n, -1), axis=1, kind="stable")[:, :top]
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(p), 0).sum(axis=(1, 2, 3))
    numerator = np.zeros((k, len(ring)), dtype=np.complex128)
    denominator = np.zeros((k, rings, 3), dtype=np.complex128)
    for r, (theta, y, g) in enumerate(circles):
        mine = np.flatnonzero(ring == r)
        m = harmonic[mine]
        spectra = _harmonics_of_circle(y, theta, m)
        rotation = np.exp(-1j * np.outer(m, angles))
        numerator[:, mine] = np.einsum("nkpt,ntm,mp->km", p, spectra, rotation, optimize=True)
        low = np.array([0, 2, 4])
        g_low = g @ np.exp(-1j * np.outer(theta, low))
        marginal = p.sum(axis=3) @ np.exp(-1j * np.outer(angles, low))
        denominator[:, r] = np.einsum("nkm,nm->km", marginal, g_low)
    return {
        "best": best,
        "top_samples": np.stack(np.unravel_index(largest, (k, psi, t)), axis=2).astype(np.int32),
        "top_weights": np.take_along_axis(p.reshape(n, -1), largest, axis=1),
        "statistics": np.stack(
            [highest + np.log(total), p.reshape(n, -1).max(axis=1), entropy, highest], axis=1
        ),
        "class_posterior": p.sum(axis=(2, 3)),
        "offset_posterior": p.sum(axis=(1, 2)),
        "cross": np.einsum("nkpt,nrkpt->nr", p, cross, optimize=True),
        "model": np.einsum("nkp,nrkp->nr", p.sum(axis=3), norm, optimize=True),
        "numerator": numerator,
        "denominator": denominator,
    }
