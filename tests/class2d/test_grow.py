"""Particles that join a classification in mini-batches: what is known stays, and the schedule is set back."""

from dataclasses import replace

import numpy as np
import pytest

from boxwood.class2d import Class2DParameters, Groups, classify2d, grow, set_back
from boxwood.class2d.minibatch import MiniBatches
from boxwood.errors import InputError
from boxwood.simulate import SimulatedSource

BOX, PIXEL, CLASSES, ALL, SOME = 32, 7.0, 6, 600, 240
SMALL = Class2DParameters(
    classes=CLASSES,
    algorithm="vdam",
    mini_batches=40,
    batch_size=60,
    mask_diameter_angstrom=190,
    psi_step_deg=12,
    offset_range_px=3,
    unseen_first=True,
)
# Particles of ten micrographs of one noise group, and of five of them first.
MICROGRAPHS = np.arange(ALL) * 10 // ALL


class First:
    """The first particles of a source, in an order of their own."""

    def __init__(self, source, order):
        self.source, self.order = source, order

    def __len__(self):
        return len(self.order)

    def read(self, indices):
        return self.source.read(self.order[indices])


@pytest.fixture(scope="module")
def source():
    return SimulatedSource(ALL, BOX, PIXEL, classes=3, snr=0.3, max_offset_px=1.5, seed=2)


def groups(order):
    _, scale = np.unique(MICROGRAPHS[order], return_inverse=True)
    return Groups.of(len(order), 1, None, None, scale, None)


def classify(source, order, parameters, start=None):
    return classify2d(
        First(source, order),
        source.ctf_rows[order],
        pixel_size_angstrom=PIXEL,
        parameters=parameters,
        micrographs=groups(order).scale,
        start=start,
        threads=2,
    )


@pytest.fixture(scope="module")
def early(source):
    """The twelfth iteration of some of the particles."""
    for result in classify(source, np.arange(SOME), SMALL):
        if result.iteration == 12:
            return result


def test_growing_by_nothing_changes_nothing(source, early):
    order = np.arange(SOME)
    same = grow(early, order, groups(order), groups(order))
    parameters, same = set_back(SMALL, same, SOME, SOME)
    assert parameters == SMALL
    one, other = (next(classify(source, order, SMALL, start)) for start in (early, same))
    for name in ("references", "sigma2", "norm", "scale"):
        assert getattr(one.model, name).tobytes() == getattr(other.model, name).tobytes()


def test_what_is_known_goes_to_its_new_place(early):
    order = np.random.default_rng(3).permutation(ALL)
    places = np.argsort(order)[:SOME]
    before, now = groups(np.arange(SOME)), groups(order)
    grown = grow(early, places, before, now)
    others = np.setdiff1d(np.arange(ALL), places)
    assert (grown.assignments.class_index[places] == early.assignments.class_index).all()
    assert (grown.model.norm[places] == early.model.norm).all()
    assert (grown.assignments.class_index[others] == -1).all() and (grown.model.norm[others] == 1).all()
    assert not grown.faults[others].any()
    scale_of = grown.model.scale[now.scale]
    assert (scale_of[places] == early.model.scale[before.scale]).all()
    assert (scale_of[others][MICROGRAPHS[order[others]] >= 4] == 1).all()
    assert grown.sums.signal_image.sum() == pytest.approx(early.sums.signal_image.sum())
    assert grown.sums.numerator is early.sums.numerator


def test_a_new_noise_group_begins_with_the_mean_noise(early):
    order = np.arange(ALL)
    now = Groups.of(ALL, 2, (order >= SOME).astype(int), None, MICROGRAPHS, None)
    grown = grow(early, order[:SOME], groups(order[:SOME]), now)
    assert grown.model.sigma2.shape[0] == 2 and (grown.model.sigma2[1] == early.model.sigma2[0]).all()
    assert grown.sums.group_count[1] == 0 and (grown.sums.residual[0] == early.sums.residual[0]).all()


def test_the_schedule_is_set_back_by_the_share_of_new_particles(early):
    parameters, result = set_back(SMALL, early, 300, 480)
    assert parameters.restarted == 5  # 12 of 40 mini-batches were done, which 7 are of as many particles
    assert parameters.last_iteration == 45 and parameters.hard_iterations == 5 + 8
    assert parameters.last_refill == 5 + 32
    assert result.sums.count <= early.sums.count and result.model.limit == early.model.limit
    later = replace(early, iteration=39, sums=early.sums.scaled(600 * CLASSES / early.sums.count))
    parameters, result = set_back(SMALL, later, 520, 1000)
    assert parameters.restarted == 19
    expected = MiniBatches.of(parameters).memory_at(39, 1000)
    assert result.sums.count == pytest.approx(expected) and expected < 1000


def test_new_particles_are_seen_first_and_find_their_classes(source, early):
    order = np.random.default_rng(5).permutation(ALL)
    grown = grow(early, np.argsort(order)[:SOME], groups(np.arange(SOME)), groups(order))
    parameters, start = set_back(SMALL, grown, SOME, ALL)
    new = ALL - SOME
    unseen = int((grown.assignments.class_index < 0).sum())
    assert unseen >= new
    for number, result in enumerate(classify(source, order, parameters, start), 1):
        left = int((result.assignments.class_index < 0).sum())
        assert left == max(0, unseen - 60 * number)
    found = result.assignments.class_index
    pure = sum(np.bincount(source.class_index[order][found == k]).max(initial=0) for k in range(CLASSES))
    assert result.iteration == parameters.last_iteration and pure > 0.9 * ALL


def test_em_has_no_schedule_to_set_back():
    with pytest.raises(InputError, match="restarted is 3; it must be 0, or more with algorithm vdam"):
        Class2DParameters(restarted=3)
