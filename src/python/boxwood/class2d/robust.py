"""Usual values and spreads that a few odd ones do not move."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray

# The median absolute deviation of normal numbers is this part of their standard deviation.
_MEDIAN_DEVIATION = 0.6745


def weighted_median(values: DoubleArray, weight: DoubleArray) -> float:
    """Of the values that are finite and have a weight; nan where there is none."""
    used = np.isfinite(values) & (weight > 0)
    if not used.any():
        return float("nan")
    values, weight = values[used], weight[used]
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def beside_usual(values: DoubleArray, weight: DoubleArray, group: AnyArray) -> DoubleArray:
    """(n,) `values` less the weighted median of their group, in its spreads; group -1 is judged by all."""
    out = np.full(len(values), np.nan)
    for one in np.unique(group):
        mine = group == one
        of = np.ones_like(mine) if one == -1 else mine
        median = weighted_median(values[of], weight[of])
        spread = weighted_median(np.abs(values[of] - median), weight[of]) / _MEDIAN_DEVIATION
        out[mine] = (values[mine] - median) / max(spread, 1e-9)
    return out
