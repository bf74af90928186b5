"""The score of class averages: what it must not depend on, and what it must put first."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.class2d.class_features import ClassFiles, class_features, otsu_threshold
from boxwood.class2d.regroup import regroup
from boxwood.class2d.score_coefficients import WITHOUT_HALVES
from boxwood.class2d.selection import choose_classes, score_classes
from boxwood.errors import InputError

BOX, PIXEL, MASK = 48, 4.0, 160.0


def view(rng, noise, blobs=((0, 0, 7),)):
    """A bright particle of soft discs in noise."""
    rows, columns = np.mgrid[:BOX, :BOX] - BOX // 2
    image = rng.normal(0, noise, (BOX, BOX))
    for y, x, radius in blobs:
        image += 1 / (1 + np.exp(np.hypot(rows - y, columns - x) - radius))
    return image


def files(averages, share=None, accuracy=None, frc=None):
    n = len(averages)
    return ClassFiles(
        averages=np.asarray(averages),
        share=np.full(n, 1 / n) if share is None else np.asarray(share),
        accuracy_angstrom=np.full(n, 3.0) if accuracy is None else np.asarray(accuracy),
        pixel_size_angstrom=PIXEL,
        mask_diameter_angstrom=MASK,
        frc=frc,
    )


def some(seed=1):
    """Two clear views, a noisy one, one with a neighbour at the border, and an empty class."""
    rng = np.random.default_rng(seed)
    clear, ring = view(rng, 0.05), view(rng, 0.05, [(0, 0, 11)]) - view(rng, 0.0, [(0, 0, 5)])
    noisy, off = view(rng, 0.6), view(rng, 0.05, [(0, 0, 5), (15, 4, 5)])
    return [clear, ring, noisy, off, np.zeros((BOX, BOX))]


@pytest.mark.parametrize("halves", [False, True])
def test_clear_views_come_before_noise_neighbours_and_empty_classes(halves):
    frc = np.tile(np.linspace(1, 0.5, 20), (5, 1)) if halves else None
    found = score_classes(files(some(), frc=frc))
    assert ("halves" in found.log_odds) == halves
    assert min(found.score[:2]) > max(found.score[2:])
    assert ((found.score >= 0) & (found.score <= 1)).all() and found.score[4] == 0
    assert list(found.table().index) == [1, 2, 3, 4, 5]
    reasons = found.reasons()
    assert "- hardly stands out from its surroundings" in reasons[2]
    assert "- busy at the border of the mask" in reasons[3]
    assert reasons[4].startswith("nothing to see")


def test_the_score_is_the_probability_of_its_log_odds():
    found = score_classes(files(some()))
    total = WITHOUT_HALVES[0] + found.log_odds.sum(axis=1).to_numpy()[:4]
    np.testing.assert_allclose(np.log(found.score[:4] / (1 - found.score[:4])), total, rtol=1e-9)


def test_placing_and_halves_count():
    rng = np.random.default_rng(2)
    same = [view(rng, 0.1)] * 3
    placed = score_classes(files(same, accuracy=[2.0, 3.0, 6.0])).score
    assert placed[0] > placed[1] > placed[2]
    frc = np.tile(np.ones(20), (3, 1)) * np.array([[0.95], [0.7], [0.2]])
    halves = score_classes(files(same, frc=frc)).score
    assert halves[0] > halves[1] > halves[2]
    unknown = score_classes(files(same, accuracy=[np.inf, np.inf, np.inf]))
    assert (unknown.features["placing"] == 0).all()


@settings(max_examples=20)
@given(st.floats(1e-3, 1e3), st.floats(-1e2, 1e2), st.integers(0, 99))
def test_grey_values_do_not_matter(scale, offset, seed):
    image = view(np.random.default_rng(seed), 0.2)
    same = [score_classes(files([changed])).score for changed in (image, image * scale + offset)]
    np.testing.assert_allclose(same[0], same[1], rtol=1e-5)


def test_pixels_do_not_matter():
    """Twice as many pixels, half as large, show the same."""
    rows, columns = np.mgrid[: 2 * BOX, : 2 * BOX] - BOX
    fine = [np.exp(-(rows**2 + columns**2) / (2 * w**2)) + 0.2 * np.cos(columns / 3) for w in (12.0, 16.0)]
    coarse = [image[::2, ::2] for image in fine]
    small = files(coarse)
    large = replace(small, averages=np.array(fine), pixel_size_angstrom=PIXEL / 2)
    a, b = class_features(small), class_features(large)
    np.testing.assert_allclose(a, b, atol=0.06)  # pixels at the edges of mask and object: a few per cent


def test_an_object_around_everything_stands_out_from_nothing():
    rows, columns = np.mgrid[:BOX, :BOX] - BOX // 2
    found = class_features(files([(np.hypot(rows, columns) > 10).astype(float)]))
    assert found["contrast"].iloc[0] == pytest.approx(np.log(0.1))


def test_averages_that_are_no_numbers_have_no_score():
    broken = np.full((BOX, BOX), np.nan)
    found = score_classes(files([some()[0], broken], share=[0.5, 0.5]))
    assert found.score[0] > 0 and found.score[1] == 0
    assert (score_classes(files([broken])).score == 0).all()


def test_otsu_divides_two_clouds():
    rng = np.random.default_rng(3)
    low, high = rng.normal(0, 0.1, 300), rng.normal(1, 0.1, 100)
    threshold = otsu_threshold(np.concatenate([low, high]))
    assert low.max() < threshold < high.min()


def test_choosing_by_score_and_by_what_is_needed():
    score, sizes = np.array([0.2, 0.9, 0.0, 0.6, 0.4]), np.array([50, 10, 99, 20, 5])
    assert choose_classes(score, sizes, 0.5).tolist() == [1, 3]
    assert choose_classes(score, sizes, 0.95).tolist() == []
    assert choose_classes(score, sizes, 0.5, at_least_classes=3).tolist() == [1, 3, 4]
    assert choose_classes(score, sizes, 0.5, at_least_classes=9).tolist() == [0, 1, 3, 4]
    assert choose_classes(score, sizes, 0.95, at_least_particles=30).tolist() == [1, 3]
    assert choose_classes(score, sizes, 0.95, at_least_particles=31).tolist() == [1, 3, 4]


def test_refusals():
    with pytest.raises(InputError, match="pixels wide"):
        replace(files(some()), mask_diameter_angstrom=8)
    with pytest.raises(InputError, match="one of each per class"):
        files([np.ones((BOX, BOX))], share=[0.5, 0.5])


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
