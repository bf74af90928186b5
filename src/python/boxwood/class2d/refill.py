"""Split-and-refill: no class is left to die.

A class that has lost its particles cannot come back by itself, because nothing in
expectation-maximisation creates one. So weak classes are given up and refilled from the largest ones,
whose average is handed to both with opposite small perturbations; the next expectations decide which
particles follow which. Why classes die and what this changes: docs/class2d.md, "Keeping classes alive".
"""

from dataclasses import replace

import numpy as np

from boxwood.class2d.model import Model
from boxwood.typing import AnyArray

# In units of the fair share 1/K: classes below WEAK are given up, classes above LARGE are split.
WEAK = 0.7
LARGE = 1.4
# Perturbation: noise smoothed to this many pixels, as a fraction of the standard deviation of the class.
_SMOOTHING_PX = 4.0
_STRENGTH = 0.3


def smooth_noise(box: int, rng: np.random.Generator) -> AnyArray:
    """(box, box) Gaussian noise, smoothed periodically, standard deviation 1."""
    f = np.fft.fftfreq(box)
    gaussian = np.exp(-2 * (np.pi * _SMOOTHING_PX) ** 2 * (f[:, None] ** 2 + f[None, :] ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((box, box))) * gaussian).real
    return noise / noise.std()


def refill(model: Model, mask: AnyArray, rng: np.random.Generator) -> Model:
    """Refill every class whose share is below WEAK/K from the largest class, while that has LARGE/K."""
    k = len(model.shares)
    references, shares, tau2 = model.references.copy(), model.shares.copy(), model.tau2.copy()
    refilled = 0
    for weak in np.flatnonzero(shares < WEAK / k):
        big = int(shares.argmax())
        if shares[big] < LARGE / k:
            break
        bump = _STRENGTH * references[big].std() * smooth_noise(len(mask), rng) * mask
        references[weak] = references[big] - bump
        references[big] = references[big] + bump
        shares[weak] = shares[big] = shares[big] / 2
        tau2[weak] = tau2[big]
        refilled += 1
    return replace(model, references=references, shares=shares / shares.sum(), tau2=tau2, refilled=refilled)
