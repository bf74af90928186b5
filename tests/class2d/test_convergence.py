"""When a classification is said to have converged."""

import numpy as np

from boxwood.class2d.assignments import Assignments
from boxwood.class2d.convergence import PATIENCE, Convergence, changes


def assignments(classes, psi, offset):
    empty = Assignments.empty(len(classes))
    return Assignments(
        np.array(classes), np.array(psi, float), np.array(offset, float), empty.largest, empty.log_likelihood,
        empty.significant,
    )  # fmt: skip


def test_changes_are_those_of_particles_that_kept_their_class():
    before = assignments([0, 1, 1, 2], [359, 10, 20, 30], [[0, 0], [1, 1], [2, 0], [0, 0]])
    after = assignments([0, 1, 2, 2], [2, 14, 200, 90], [[3, 4], [1, 1], [9, 9], [7, 7]])
    indices = np.array([0, 1, 2])
    classes, psi, offset = changes(before, after, indices)
    np.testing.assert_allclose(classes, 1 / 3)
    np.testing.assert_allclose([psi, offset], [np.sqrt((9 + 16) / 2), np.sqrt(25 / 2)])
    other = assignments([3, 3, 3, 3], [0] * 4, [[0, 0]] * 4)
    assert changes(before, other, indices) == (1.0, 0.0, 0.0)


def test_nothing_better_for_some_iterations_is_converged():
    state = Convergence().after((0.5, 9.0, 1.0), 10, settled=True)
    assert (state.without_change, state.without_gain, state.best_ring) == (0, 0, 10)
    for _ in range(PATIENCE):
        assert not state.reached
        state = state.after((0.6, 8.9, 1.2), 10, settled=True)  # 8.9 is smaller by chance
    assert state.reached
    assert state.smallest == (0.5, 8.9, 1.0)
    assert not state.after((0.6, 9.0, 1.2), 11, settled=True).reached
    assert not state.after((0.4, 9.0, 1.2), 10, settled=True).reached
    assert state.after((0.4, 9.0, 1.2), 10, settled=False) == Convergence()
