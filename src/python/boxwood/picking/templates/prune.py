"""From maps of templates' scores to picks, by RELION's rules; cheap, so that thresholds can be tried."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from boxwood.picking.geometry import round_half_away
from boxwood.picking.peaks import check_range
from boxwood.picking.templates.picks import TemplatePicks
from boxwood.picking.templates.ratio import TemplateMaps
from boxwood.typing import AnyArray, DoubleArray, IntArray

_NO_MEAN = -900.0  # least averages up to here mean none


def find_template_peaks(
    maps: TemplateMaps,
    *,
    box_px: int,
    radius_px: int,
    threshold: float = 0.05,
    min_distance: float | None = None,
    max_stddev_noise: float | None = None,
    min_avg_noise: float = -999.0,
    skip_side: int = 0,
) -> TemplatePicks:
    """Pick the peaks of maps.

    Parameters
    ----------
    maps : TemplateMaps
    box_px, radius_px : int
        Of the templates, in micrograph pixels.
    threshold : float
        Least score.
    min_distance : float, optional
        Between picks, Angstrom; half the box by default.
    max_stddev_noise : float, optional
        Largest standard deviation around a pick.
    min_avg_noise : float
        Smallest average around a pick; -900 and below for none.
    skip_side : int
        Pixels along the edge without picks, beyond half the box.
    """
    check_range("threshold", threshold)
    check_range("skip_side", skip_side, at_least=0)
    grid = maps.grid
    distance_px = (
        box_px // 2 if min_distance is None else round_half_away(min_distance / maps.pixel_size_angstrom)
    )
    apart, near = distance_px * grid.scale, radius_px * grid.scale
    allowed = np.ones(maps.mean.shape, bool)
    if max_stddev_noise is not None and max_stddev_noise > 0:
        allowed &= maps.deviation <= max_stddev_noise
    if min_avg_noise > _NO_MEAN:
        allowed &= maps.mean >= min_avg_noise
    found = []
    for t, (best, psi) in enumerate(zip(maps.best, maps.psi, strict=True)):
        y, x = _maxima(best, threshold, allowed, maps, box_px, skip_side)
        peaks = np.column_stack([y, x, best[y, x], np.full(len(y), t), psi[y, x]]).astype(np.float64)
        found.append(_pruned(peaks, near, apart))
    kept = _pruned(np.concatenate(found), near, apart)
    if len(kept) > 1:
        nearest = cKDTree(kept[:, :2]).query(kept[:, :2], k=2)[0][:, 1]
        kept = kept[nearest**2 > apart**2]
    kept = kept[np.argsort(-kept[:, 2], kind="stable")]
    return TemplatePicks(
        x=grid.to_micrograph(kept[:, 1], 1),
        y=grid.to_micrograph(kept[:, 0], 0),
        fom=kept[:, 2],
        template=kept[:, 3].astype(np.int64),
        psi_deg=kept[:, 4],
        reason="" if len(kept) else f"no peak exceeds the threshold {threshold:g}",
    )


def _maxima(
    best: AnyArray, threshold: float, allowed: AnyArray, maps: TemplateMaps, box_px: int, skip_side: int
) -> tuple[IntArray, IntArray]:
    """Places, in row-major order, that are above the threshold and no smaller than their four neighbours."""
    top, bottom, left, right = maps.grid.interior(skip_side + box_px / 2, least=1)
    frame = np.zeros(best.shape, bool)
    frame[max(top, 1) : min(bottom, len(best) - 1), max(left, 1) : min(right, len(best) - 1)] = True
    peak = frame & allowed & (best >= threshold)
    for axis in (0, 1):
        for step in (1, -1):
            beside = np.roll(best, step, axis)
            peak &= best >= beside
            if len(best) == max(maps.shape):  # a rule that RELION has on the micrograph's own grid alone
                peak &= beside >= threshold
    y, x = np.nonzero(peak)
    return y, x


def _pruned(peaks: DoubleArray, near: float, apart: float) -> DoubleArray:
    """Of every cluster of peaks that chain closer than `near`, the best ones `apart` from one another."""
    if not len(peaks):
        return peaks
    tree = cKDTree(peaks[:, :2])
    pairs = tree.query_pairs(near, output_type="ndarray")
    ones = np.ones(len(pairs))
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(peaks), len(peaks)))
    cluster = connected_components(graph, directed=False)[1]
    neighbours = tree.query_ball_point(peaks[:, :2], apart)
    alive = np.ones(len(peaks), bool)
    kept = []
    for i in np.argsort(-peaks[:, 2], kind="stable"):
        if alive[i]:
            kept.append(i)
            others = np.array(neighbours[i])
            closer = ((peaks[others, :2] - peaks[i, :2]) ** 2).sum(axis=1) < apart**2
            alive[others[closer & (cluster[others] == cluster[i])]] = False
    return peaks[kept]
