"""Problems for the expectation kernel, and what its results may differ by."""

import numpy as np
from hypothesis import strategies as st

from boxwood.backends import reference
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid, cutoff

EPS = float(np.finfo(np.float32).eps)
NOTHING_DROPPED = 1e9
# One soft pass in single precision that drops nothing.
PLAIN = {
    "log_prior_psi": None,
    "coarse_phases": np.zeros((0, 0), np.complex64),
    "parent": np.zeros(0, np.int32),
    "hard": False,
    "cut": NOTHING_DROPPED,
    "fraction": 1.0,
    "top": 5,
    "precision": "float32",
    "threads": 1,
}
PER_IMAGE = ("images", "ctf", "group", "scale", "log_prior_offset", "coarse_log_prior_offset")

shapes = {
    "seed": st.integers(0, 2**32 - 1),
    "rings": st.integers(2, 9),
    "images": st.integers(1, 20),
    "classes": st.integers(1, 19),
    "offsets": st.integers(1, 18),
    "psi": st.sampled_from([10, 12, 18, 30, 32]),
    "snr": st.sampled_from([0.0, 0.3, 3.0]),
}


def blobs(rng, n, box):
    """Smooth random images inside a mask."""
    f = np.fft.fftfreq(box)
    envelope = np.exp(-((f[:, None] ** 2 + f[None, :] ** 2) * (3.0) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, box, box))) * envelope).real
    return noise * soft_circle((box, box), box / 2 - 7, 4)


def make_case(seed, *, box=24, rings=7, images=5, classes=6, offsets=9, psi=20, groups=2, snr=1.0):
    """Arguments of the kernel for a small problem with known shapes."""
    rng = np.random.default_rng(seed)
    grid = PolarGrid(box, box / 2 - 5, 3.0, rings)
    flat = np.ones((box, box))
    references, _ = reference.polar_transform(blobs(rng, classes, box), None, flat, grid.positions)
    data = references[rng.integers(0, classes, images)] * snr
    noise, _ = reference.polar_transform(
        rng.standard_normal((images, box, box)) * soft_circle((box, box), box / 2 - 7, 4),
        None,
        flat,
        grid.positions,
    )
    shifts = rng.uniform(-3, 3, (offsets, 2))
    f = grid.positions.astype(np.float64) / box
    radius2 = (grid.positions**2).sum(axis=1)
    power = np.abs(noise).mean() ** 2
    area = 2 * np.pi * np.arange(1, rings + 1) * cutoff(rings, rings - 2)
    return {
        "images": (data + noise).astype(np.complex64),
        "ctf": np.sin(rng.uniform(0.3, 2, (images, 1)) + 0.02 * radius2).astype(np.float32),
        "group": rng.integers(0, groups, images).astype(np.int32),
        "weights": (area / (grid.ring_samples * power * rng.uniform(0.5, 2, (groups, 1)))).astype(np.float32),
        "scale": rng.uniform(0.8, 1.2, (images, 2)).astype(np.float32),
        "ring_samples": grid.ring_samples,
        "ring_harmonics": grid.ring_harmonics,
        "references": grid.harmonics(references, rings).astype(np.complex64),
        "power": grid.power_harmonics(references, rings).astype(np.complex64),
        "phases": np.exp(-2j * np.pi * (shifts @ f.T)).astype(np.complex64),
        "log_prior_offset": rng.normal(0, 1, (images, offsets)).astype(np.float32),
        "log_prior_class": rng.normal(0, 1, classes).astype(np.float32),
        "coarse_log_prior_offset": np.zeros((images, 0), np.float32),
        "psi": psi,
        **PLAIN,
    }


def value_error(case):
    """Bound of the float32 error of a log-likelihood: rounding of the terms that are added.

    By Cauchy and Schwarz the magnitudes of the terms of cross and norm sum to at most |x| |a| + |a|^2
    under the weights. A term is rounded about 16 times on its way through phases, CTF, two transforms and
    the matrix product, and the sums run pairwise or in vectors, so that their error grows no faster than
    that of a single term.
    """
    w = np.repeat(case["weights"].max(axis=0), case["ring_samples"] // 2) * 2
    x = np.sqrt((w * np.abs(case["images"]) ** 2).sum(axis=1)).max() * 1.2
    a2 = np.abs(case["power"][:, :, 0]).astype(np.float64) @ (
        case["weights"].max(axis=0) * case["ring_samples"]
    )
    a = np.sqrt(a2.max()) * 1.2
    prior = np.abs(case["log_prior_offset"]).max() + np.abs(case["log_prior_class"]).max()
    return 16 * EPS * (x * a + a**2 + prior + 1)


def with_first_pass(case, seed):
    """The same problem with a first pass: offsets have neighbours among the coarse ones, on fewer rings."""
    rng = np.random.default_rng(seed)
    rings = max(1, len(case["ring_samples"]) - 2)
    samples = int(case["ring_samples"][:rings].sum()) // 2
    coarse = case["phases"][::3]
    return case | {
        "coarse_phases": np.ascontiguousarray(coarse[:, :samples]),
        # Any assignment will do, as long as every coarse offset has some to search.
        "parent": rng.permutation(np.arange(len(case["phases"]), dtype=np.int32) % len(coarse)),
        "coarse_log_prior_offset": np.ascontiguousarray(case["log_prior_offset"][:, ::3]),
    }
