"""Peaks of a score map, at least a distance apart, between the pixels."""

import itertools
from dataclasses import dataclass

import numpy as np

from boxwood.picking.duplicates import best_of_duplicates
from boxwood.typing import AnyArray, DoubleArray, IntArray


@dataclass(frozen=True)
class Maxima:
    """Peaks of a map, best first.

    Attributes
    ----------
    y, x : (n,) int64
        Pixels.
    score : (n,) float64
        There.
    """

    y: IntArray
    x: IntArray
    score: DoubleArray

    def __len__(self) -> int:
        return len(self.y)

    def only(self, chosen: AnyArray) -> "Maxima":
        """Those for which `chosen` (n,) bool is true."""
        return Maxima(self.y[chosen], self.x[chosen], self.score[chosen])


def find_maxima(score: AnyArray, allowed: AnyArray, distance_px: float, floor: float) -> Maxima:
    """Local maxima above `floor` where `allowed`; of two nearer than `distance_px` the better one."""
    values = np.where(allowed, score, -np.inf)
    top = values > floor
    framed = np.pad(values, 1, constant_values=-np.inf)
    ny, nx = values.shape
    for dy, dx in itertools.product((0, 1, 2), repeat=2):
        top &= values >= framed[dy : dy + ny, dx : dx + nx]
    y, x = np.nonzero(top)
    order = np.argsort(-values[y, x], kind="stable")
    y, x = y[order], x[order]
    reach = max(1, int(np.ceil(distance_px)))
    steps = np.arange(-reach, reach + 1)
    near = np.hypot(steps[:, None], steps) < distance_px
    taken = np.zeros((score.shape[0] + 2 * reach, score.shape[1] + 2 * reach), bool)
    kept = []
    for i, (row, column) in enumerate(zip(y.tolist(), x.tolist(), strict=True)):
        if not taken[row + reach, column + reach]:
            kept.append(i)
            taken[row : row + 2 * reach + 1, column : column + 2 * reach + 1] |= near
    y, x = y[kept], x[kept]
    return Maxima(y, x, values[y, x].astype(np.float64))


def between_pixels(score: AnyArray, y: IntArray, x: IntArray) -> tuple[DoubleArray, DoubleArray]:
    """Vertices of the parabolas through a peak and its neighbours along y and x: y and x, float64."""
    places = []
    for axis, centre in enumerate((y, x)):
        inside = np.clip(centre, 1, score.shape[axis] - 2)
        row, column = (inside, x) if axis == 0 else (y, inside)
        step = (1, 0) if axis == 0 else (0, 1)
        before = score[row - step[0], column - step[1]].astype(np.float64)
        middle = score[row, column].astype(np.float64)
        after = score[row + step[0], column + step[1]].astype(np.float64)
        bend = before - 2 * middle + after
        moved = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0.0)
        places.append(np.where(inside == centre, centre + np.clip(moved, -0.5, 0.5), centre))
    return places[0], places[1]


def on_micrograph(
    score: AnyArray,
    found: Maxima,
    scale: DoubleArray,
    shape: tuple[int, ...],
    skip_side: int,
    distance_px: float,
) -> tuple[DoubleArray, DoubleArray, AnyArray]:
    """Where peaks of a score lie on the micrograph (ny, nx) = `shape`, of which a score pixel is `scale`.

    x and y (float64, micrograph pixels, between pixels of the score), and which are picks: at least
    `skip_side` pixels from the edge, and, for between the pixels peaks are nearer to one another than on
    them, none at `distance_px` (micrograph pixels) or nearer to a better one.
    """
    y, x = between_pixels(score, found.y, found.x)
    y, x = y * scale[0], x * scale[1]
    inside = (np.minimum(x, shape[1] - 1 - x) >= skip_side) & (np.minimum(y, shape[0] - 1 - y) >= skip_side)
    apart = best_of_duplicates(x, y, np.zeros(len(x)), distance_px, found.score) < 0
    return x, y, inside & apart
