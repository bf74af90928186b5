"""Going on with mini-batches when particles were added.

Docs/live.md, "The schedule is set back", has the reasons and what they are worth.
"""

from dataclasses import replace

import numpy as np

from boxwood.class2d.assignments import Assignments
from boxwood.class2d.groups import Groups
from boxwood.class2d.minibatch import MiniBatches
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.result import IterationResult
from boxwood.typing import AnyArray


def grow(result: IterationResult, places: AnyArray, before: Groups, now: Groups) -> IterationResult:
    """The result of an iteration as one over more particles, from which `classify2d` can start.

    New particles have no class, no fault and no contrast yet; new micrographs have the scale 1, new noise
    groups the mean noise of the others. Averages and what mini-batches remember stay.

    Parameters
    ----------
    result : IterationResult
    places : (n,) int
        Where among the particles now each of those before is.
    before, now : Groups
    """
    model, sums = result.model, result.sums
    particles = len(now.scale)
    noise = _renamed(before.noise, now.noise[places]), int(now.noise.max()) + 1
    scale = _renamed(before.scale, now.scale[places]), now.scales
    grown = Assignments.empty(particles)
    for name, values in vars(result.assignments).items():
        getattr(grown, name)[places] = values
    return replace(
        result,
        model=replace(
            model,
            norm=_spread(model.norm, places, particles, 1.0),
            scale=_spread(model.scale, *scale, 1.0),
            sigma2=_spread(model.sigma2, *noise, model.sigma2.mean(axis=0)),
        ),
        assignments=grown,
        faults=_spread(result.faults, places, particles, 0),
        posterior=None,
        sums=None
        if sums is None
        else replace(
            sums,
            residual=_spread(sums.residual, *noise, 0.0),
            group_count=_spread(sums.group_count, *noise, 0.0),
            signal_image=_spread(sums.signal_image, *scale, 0.0),
            signal_model=_spread(sums.signal_model, *scale, 0.0),
        ),
    )


def set_back(
    parameters: Class2DParameters, result: IterationResult, before: int, now: int
) -> tuple[Class2DParameters, IterationResult]:
    """Set the schedule back where there were `before` particles and are `now`.

    It keeps the share of it that the particles before are of those now, so that what new particles are
    worth is done again. The sums are made to stand for as many particles as the memory then has.
    """
    done = (result.iteration - parameters.restarted) * before // now
    parameters = replace(parameters, restarted=result.iteration - done)
    sums = result.sums
    if sums is None:
        return parameters, result
    remembered = MiniBatches.of(parameters).memory_at(result.iteration, now)
    return parameters, replace(result, sums=sums.scaled(min(1.0, remembered / sums.count)))


def _renamed(before: AnyArray, now: AnyArray) -> AnyArray:
    """Index now of every group before, from both indices of the same particles."""
    names = np.zeros(int(before.max()) + 1, dtype=np.int64)
    names[before] = now
    return names


def _spread(values: AnyArray, places: AnyArray, count: int, other: AnyArray | float) -> AnyArray:
    """Array of `count` with the values at their places, and what the others have."""
    out = np.empty((count, *values.shape[1:]), dtype=values.dtype)
    out[:] = other
    out[places] = values
    return out
