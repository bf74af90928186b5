"""The random numbers that RELION draws: glibc's `rand`, made normal by Marsaglia's polar method in float32.

RELION's expected probability ratio contains a sum over random numbers that changes figures of merit by
several per cent, so its picks are met only with its numbers.
"""

from functools import cache

import numpy as np

from boxwood.typing import AnyArray, FloatArray

_DEGREE, _LAG, _DISCARDED = 31, 28, 310  # r[i] = r[i - 31] + r[i - 3]; so many are thrown away first
_STREAMS = 256  # parts of the sequence that are computed side by side


def rand(seed: int, count: int) -> AnyArray:
    """The first `count` numbers of glibc's `rand` after `srand(seed)`, (count,) uint32 below 2^31."""
    state = [seed or 1]
    for _ in range(_DEGREE - 1):
        # Park and Miller's generator, by Schrage's method; C's division rounds towards zero.
        last = state[-1]
        high = int(last / 127773)
        value = 16807 * (last - 127773 * high) - 2836 * high
        state.append(value + 2147483647 if value < 0 else value)
    first = np.array(state[_DEGREE - _LAG :] + state[: _DEGREE - _LAG], np.uint32)
    steps = -(-(_DISCARDED + count) // _STREAMS)
    jump = _power(steps)
    streams = np.empty((_DEGREE, _STREAMS), np.uint32)
    for i in range(_STREAMS):
        streams[:, i] = first
        first = jump @ first
    numbers = np.empty((_DEGREE + steps, _STREAMS), np.uint32)
    numbers[:_DEGREE] = streams
    for i in range(_DEGREE, _DEGREE + steps):
        numbers[i] = numbers[i - _DEGREE] + numbers[i - _DEGREE + _LAG]
    in_order: AnyArray = numbers[_DEGREE:].T.ravel()
    return in_order[_DISCARDED : _DISCARDED + count] >> 1


@cache
def _power(steps: int) -> AnyArray:
    """The matrix, modulo 2^32, that takes 31 numbers of the sequence to the 31 that are `steps` later."""
    step = np.eye(_DEGREE, k=1, dtype=np.uint32)
    step[-1, 0] = step[-1, _LAG] = 1
    result = np.eye(_DEGREE, dtype=np.uint32)
    while steps:
        if steps & 1:
            result = result @ step
        step, steps = step @ step, steps >> 1
    return result


def normals(seed: int, count: int, left_over: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """`count` normal numbers after `srand(seed)`, and what is left over of the last pair.

    Numbers come in pairs, and RELION keeps the second of a pair for whoever asks next, even if the generator
    is seeded again in between.

    Parameters
    ----------
    seed, count : int
    left_over : (0 or 1,) float32, optional

    Returns
    -------
    numbers : (count,) float32
    left_over : (0 or 1,) float32
    """
    kept = np.zeros(0, np.float32) if left_over is None else left_over
    pairs = max(0, -(-(count - len(kept)) // 2))
    one, two = np.float32(1), np.float32(2)
    drawn = int(1.3 * pairs + 8 * np.sqrt(pairs)) + 16  # pi/4 of them are accepted
    uniform = rand(seed, 2 * drawn).astype(np.float32) / np.float32(2147483647)
    u, v = uniform.reshape(-1, 2).T * two - one
    w = u * u + v * v
    good = np.flatnonzero((w > 0) & (w < 1))[:pairs]
    factor = np.sqrt(-two * np.log(w[good]) / w[good])
    numbers = np.concatenate([kept, np.column_stack([u[good], v[good]]).ravel() * np.repeat(factor, 2)])
    return numbers[:count], numbers[count:]


def numbers_for(seed: int, place: int, count: int) -> FloatArray:
    """The `count` normal numbers that RELION draws for the micrograph at `place`, from 0, of its list.

    It seeds anew for each, with `seed` + `place`; micrographs before it have drawn as many.
    """
    left_over = None
    if place * count % 2:  # then the one before began without
        left_over = normals(seed + place - 1, count)[1]
    return normals(seed + place, count, left_over)[0]
