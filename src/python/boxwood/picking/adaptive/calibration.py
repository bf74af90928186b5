"""From scores to probabilities: how many of the peaks of a score are due to the background alone."""

from dataclasses import dataclass

import numpy as np

from boxwood.typing import AnyArray, DoubleArray

_GRID = 400
_BANDWIDTH = 0.25  # standard deviations of the background's scores
_FIRM = 1.3  # see `has_mode`
_NEARLY_ALL = 0.9  # share of background where `has_mode` begins to look


@dataclass(frozen=True)
class Calibration:
    """Local false-discovery rate as a function of the score.

    Attributes
    ----------
    scores : (n,) float64
        Ascending.
    rates : (n,) float64
        Falling, from at most 1.
    """

    scores: DoubleArray
    rates: DoubleArray

    def rate(self, score: AnyArray) -> DoubleArray:
        """The share of background among peaks of that score."""
        return np.interp(score, self.scores, self.rates)

    def threshold(self, largest_rate: float) -> float:
        """Lowest score whose rate is at most `largest_rate`; infinite if there is none."""
        good = np.flatnonzero(self.rates <= largest_rate)
        if not len(good):
            return np.inf
        i = int(good[0])
        if i == 0:
            return float(self.scores[0])
        (s0, s1), (r0, r1) = self.scores[i - 1 : i + 1], self.rates[i - 1 : i + 1]
        return float(s0 + (s1 - s0) * (r0 - largest_rate) / (r0 - r1))


def calibrate(peaks: DoubleArray, background: DoubleArray, area: float) -> Calibration:
    """Compare the peaks of micrographs with those of synthetic background.

    Parameters
    ----------
    peaks, background : (n,), (m,) float64
        Scores of the peaks.
    area : float
        Of the micrographs over that of the background.

    Notes
    -----
    Efron, J. Am. Stat. Assoc. 99:96 (2004): the local false-discovery rate is the density of scores of the
    background over that of all. Both are smoothed by the same kernel, and the ratio made to fall.
    """
    if not len(peaks) or not len(background):
        return Calibration(np.array([0.0]), np.array([1.0]))
    width = max(_BANDWIDTH * float(background.std()), 1e-3)
    top = max(float(peaks.max()), float(background.max()))
    scores = np.linspace(float(np.median(background)), top + width, _GRID)
    density = [_density(values, scores, width) for values in (background, peaks)]
    rates = np.minimum(area * density[0] / np.maximum(density[1], 1e-12), 1.0)
    return Calibration(scores, np.minimum.accumulate(rates))


def _density(values: DoubleArray, at: DoubleArray, width: float) -> DoubleArray:
    """Sum of Gaussians around values, on a regular grid, by way of a fine histogram."""
    step = width / 8
    low, high = at[0] - 6 * width, at[-1] + 6 * width
    bins = int(np.ceil((high - low) / step))
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    reach = np.arange(-48, 49)
    kernel = np.exp(-0.5 * (reach / 8) ** 2)
    return np.interp(at, 0.5 * (edges[1:] + edges[:-1]), np.convolve(counts, kernel, mode="same"))


def otsu(values: DoubleArray) -> float:
    """The threshold between two groups of values that leaves them least variance."""
    ordered = np.sort(values)
    ordered = np.minimum(ordered, np.quantile(ordered, 0.98))
    n, sums = len(ordered), np.cumsum(ordered)
    k = np.arange(1, n)
    between = k * (n - k) * (sums[:-1] / k - (sums[-1] - sums[:-1]) / (n - k)) ** 2
    best = int(np.argmax(between))
    return float(0.5 * (ordered[best] + ordered[best + 1]))


def mode_strength(scores: DoubleArray, weights: DoubleArray) -> float:
    """How far scores above a threshold are from a density that only falls.

    Particles of one kind have scores around one value; whatever else exceeds a threshold becomes
    rarer the higher the score. The statistic is the largest distance between the distribution of
    scores and its least concave majorant (the best falling density), times the root of their number.

    Parameters
    ----------
    scores : (n,) float64
        Less the threshold, so positive.
    weights : (n,) float64
        The probability of each of not being background.
    """
    total = float(weights.sum())
    if total <= 0:
        return 0.0
    order = np.argsort(scores, kind="stable")
    x = np.concatenate([[0.0], scores[order]])
    f = np.concatenate([[0.0], np.cumsum(weights[order]) / total])
    hull = [0]
    for i in range(1, len(x)):
        while len(hull) > 1 and _below(x, f, hull[-2], hull[-1], i):
            hull.pop()
        if x[i] > x[hull[-1]]:
            hull.append(i)
        else:
            hull[-1] = i
    before = np.concatenate([[0.0], f[:-1]])
    return float(np.sqrt(total) * np.max(np.interp(x, x[hull], f[hull]) - before))


def _below(x: DoubleArray, f: DoubleArray, a: int, b: int, c: int) -> bool:
    """Whether point b lies on or below the line from a to c."""
    return bool((f[b] - f[a]) * (x[c] - x[a]) <= (f[c] - f[a]) * (x[b] - x[a]))


def has_mode(peaks: DoubleArray, calibration: Calibration) -> bool:
    """Whether the roots of the scores cluster around a value, as those of particles do.

    The root of a log-likelihood ratio is about linear in the particle's contrast. The bound is exceeded by
    one in ten samples of the falling density that is closest to having a mode, the uniform one, and hardly
    ever by exponential ones, which contamination and structured ice resemble.
    """
    start = calibration.threshold(_NEARLY_ALL)
    if not np.isfinite(start):
        return False
    above = peaks[peaks > max(start, 0.0)]
    roots = np.sqrt(above) - np.sqrt(max(start, 0.0))
    return mode_strength(roots, 1 - calibration.rate(above)) > _FIRM
