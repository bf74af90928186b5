"""The score of class averages: what it must not depend on, and what it must put first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.class2d.regroup import regroup
from boxwood.class2d.selection import otsu_threshold, score_classes
from boxwood.errors import InputError

BOX, PIXEL, MASK = 48, 4.0, 160.0


def view(rng, noise, blobs=((0, 0, 7),)):
    """A bright particle of soft discs in noise."""
    rows, columns = np.mgrid[:BOX, :BOX] - BOX // 2
    image = rng.normal(0, noise, (BOX, BOX))
    for y, x, radius in blobs:
        image += 1 / (1 + np.exp(np.hypot(rows - y, columns - x) - radius))
    return image


def scores(averages, share=None, resolution=None):
    n = len(averages)
    share = np.full(n, 1 / n) if share is None else share
    resolution = np.full(n, 12.0) if resolution is None else resolution
    return score_classes(averages, share, resolution, pixel_size_angstrom=PIXEL, mask_diameter_angstrom=MASK)


def test_clear_views_come_before_noise_neighbours_and_empty_classes():
    rng = np.random.default_rng(1)
    clear, ring = view(rng, 0.05), view(rng, 0.05, [(0, 0, 11)]) - view(rng, 0.0, [(0, 0, 5)])
    noisy, off = view(rng, 0.6), view(rng, 0.05, [(0, 0, 5), (15, 4, 5)])
    found = scores([clear, ring, noisy, off, np.zeros((BOX, BOX))])
    assert min(found.score[:2]) > max(found.score[2:])
    assert found.score[4] == 0
    assert found.whole[3] < 0.7 < found.whole[0]
    assert list(found.table().index) == [1, 2, 3, 4, 5]


def test_size_and_resolution_count():
    rng = np.random.default_rng(2)
    same = [view(rng, 0.1)] * 4
    found = scores(same, share=[0.4, 0.3, 0.3, 0.0], resolution=[10.0, 10.0, 20.0, np.inf])
    assert found.score[0] > found.score[1] > found.score[2] > found.score[3] == 0
    np.testing.assert_allclose(found.resolution, [1, 1, 0.5, 0])


@settings(max_examples=20)
@given(st.floats(1e-3, 1e3), st.floats(-1e2, 1e2), st.integers(0, 99))
def test_grey_values_do_not_matter(scale, offset, seed):
    image = view(np.random.default_rng(seed), 0.2)
    np.testing.assert_allclose(scores([image]).score, scores([image * scale + offset]).score, rtol=1e-6)


def test_an_object_around_everything_stands_out_from_nothing():
    rows, columns = np.mgrid[:BOX, :BOX] - BOX // 2
    found = scores([(np.hypot(rows, columns) > 10).astype(float)])
    assert found.contrast[0] == found.score[0] == 0


def test_otsu_divides_two_clouds():
    rng = np.random.default_rng(3)
    low, high = rng.normal(0, 0.1, 300), rng.normal(1, 0.1, 100)
    threshold = otsu_threshold(np.concatenate([low, high]))
    assert low.max() < threshold < high.min()


def test_refusals():
    with pytest.raises(InputError, match="pixels wide"):
        score_classes(np.ones((1, 32, 32)), [1], [10], pixel_size_angstrom=4, mask_diameter_angstrom=8)
    with pytest.raises(InputError, match="one of each per class"):
        scores([np.ones((BOX, BOX))], share=[0.5, 0.5])


@given(st.data())
def test_regroup_keeps_groups_together_in_order_of_scale(data):
    sizes = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=12))
    group = np.repeat(np.arange(len(sizes)), sizes)
    scales = np.array(data.draw(st.permutations(range(len(sizes)))), float)
    wanted = data.draw(st.integers(1, max(1, len(group) // 10)))
    if len(group) < 10 * wanted:
        with pytest.raises(InputError, match="fewer than 10"):
            regroup(group, scales[group], np.ones_like(group), wanted)
        return
    new = regroup(group, scales[group], np.ones_like(group), wanted)
    assert set(new) == set(range(1, new.max() + 1)) and new.max() <= wanted
    by_scale = new[np.argsort(scales[group], kind="stable")]
    assert (np.diff(by_scale) >= 0).all()
    assert all(len(set(new[group == one])) == 1 for one in range(len(sizes)))


def test_regroup_equal_groups_and_optics():
    group = np.repeat(np.arange(8), 25)
    scale = np.repeat([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], 25)
    assert np.bincount(regroup(group, scale, np.ones(200, int), 4))[1:].tolist() == [50] * 4
    optics = np.repeat([1, 2], 100)
    new = regroup(group, scale[::-1], optics, 4)
    assert not set(new[optics == 1]) & set(new[optics == 2])
