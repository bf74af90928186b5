"""Pictures show what they are given: read back, their pixels differ where the input differs."""

import numpy as np
import pytest
from matplotlib.image import imread

from boxwood.errors import InputError
from boxwood.report import (
    Convergence,
    draw_class_averages,
    draw_class_shares,
    draw_convergence,
    draw_fom_histogram,
    draw_particles,
    draw_picks,
    draw_sheet,
    effective_number,
)
from boxwood.report.picks import shrink


def pixels(path):
    return imread(path)[..., :3]


@pytest.fixture
def micrograph():
    return np.random.default_rng(0).standard_normal((220, 300)).astype(np.float32)


def test_picks_are_circles_around_their_coordinates(tmp_path, micrograph):
    settings = {"pixel_size_angstrom": 2.0, "diameter_angstrom": 60.0, "title": "one"}
    without = pixels(draw_picks(tmp_path / "a.png", micrograph, x=[], y=[], **settings))
    drawn = pixels(draw_picks(tmp_path / "b.png", micrograph, x=[100], y=[60], **settings))
    rows, columns = np.nonzero(np.abs(drawn - without).max(axis=-1) > 0.2)
    # the circle is 30 px of a micrograph 300 px wide, which fills most of the picture
    assert 0.05 < np.ptp(columns) / drawn.shape[1] < 0.1
    assert abs(np.ptp(columns) - np.ptp(rows)) <= 2
    assert columns.mean() < drawn.shape[1] / 2
    assert rows.mean() < drawn.shape[0] / 2


def test_circles_take_the_colour_of_their_fom(tmp_path, micrograph):
    path = draw_picks(
        tmp_path / "a.png", micrograph, 2.0, [60, 240], [100, 100], fom=[0.1, 0.9], diameter_angstrom=60
    )
    image = pixels(path)
    left, right = image[:, : image.shape[1] // 3], image[:, image.shape[1] // 2 : image.shape[1] * 3 // 4]
    red, green = left[..., 0] - left[..., 1], right[..., 1] - right[..., 0]
    assert (red > 0.3).sum() > 30
    assert (green > 0.2).sum() > 30
    assert (left[..., 1] - left[..., 0] > 0.2).sum() == 0


def test_micrographs_with_holes_are_drawn(tmp_path, micrograph):
    micrograph[10:20, 10:20] = np.nan
    assert pixels(draw_picks(tmp_path / "a.png", micrograph, 2.0, [], [])).std() > 0.05


def test_shrink_keeps_the_mean_and_drops_detail():
    x = np.mgrid[:1500, :1200][1]
    coarse, fine = np.cos(2 * np.pi * x / 400), np.cos(2 * np.pi * x / 10)
    small = shrink(7 + coarse + fine, 1.0, 20.0)
    assert small.shape == (1000, 800)
    # the power at 400 px is kept but for 2^-(20/400)^2, that at 10 px falls by 2^-4
    power = np.abs(np.fft.rfft2(small, norm="forward")) ** 2
    assert power[0, 0] == pytest.approx(49, rel=1e-5)
    assert power[0, 3] == pytest.approx(0.25 * 2 ** -(0.05**2), rel=1e-4)
    assert power[0, 120] == pytest.approx(0.25 / 16, rel=1e-4)


@pytest.mark.parametrize("fom", [[], [np.nan], [0.5], np.linspace(0, 1, 500)])
def test_histograms_of_any_number_of_picks(tmp_path, fom):
    assert pixels(draw_fom_histogram(tmp_path / "h.png", fom, threshold=0.1)).shape[0] > 100


def test_sheets_show_every_image_and_frame_the_chosen(tmp_path):
    images = np.random.default_rng(0).standard_normal((7, 32, 32))
    plain = pixels(draw_sheet(tmp_path / "a.png", images, labels=list("abcdefg"), columns=4))
    framed = pixels(
        draw_sheet(tmp_path / "b.png", images, labels=list("abcdefg"), columns=4, framed=np.arange(7) == 5)
    )
    rows, columns = np.nonzero((plain != framed).any(axis=-1))
    # the sixth image is second in the second row of two
    assert rows.min() > plain.shape[0] / 2
    assert plain.shape[1] / 4 - 6 < columns.min() < columns.max() < plain.shape[1] / 2 + 6


def test_the_largest_class_comes_first(tmp_path):
    averages = np.zeros((2, 32, 32))
    averages[1, 8:24, 8:24] = 1
    image = pixels(draw_class_averages(tmp_path / "a.png", averages, [0.1, 0.9], [np.inf, 12.0]))
    left, right = np.array_split(image[image.shape[0] // 3 :], 2, axis=1)
    centre = np.s_[20:-20, 20:-20]
    assert left[centre].std() > 0.1
    assert np.ptp(right[centre]) == 0


def test_galleries_need_images(tmp_path):
    draw_particles(
        tmp_path / "a.png", np.random.default_rng(0).standard_normal((30, 16, 16)), heading="thirty"
    )
    with pytest.raises((InputError, ValueError)):
        draw_particles(tmp_path / "b.png", np.zeros((0, 16, 16)))
    assert not (tmp_path / "b.png").exists()


def test_convergence_with_missing_values(tmp_path):
    n, k = 6, 5
    shares = np.random.default_rng(0).dirichlet(np.ones(k), n)
    resolution = np.linspace(40, 12, n)[:, None] * np.ones(k)
    resolution[0] = np.inf
    likelihood = np.linspace(-5, 3, n)
    likelihood[0] = np.nan
    history = Convergence(range(n), likelihood, shares, resolution, np.linspace(1, 0, n), [4, 8, 8, 9, 9, 9])
    assert pixels(draw_convergence(tmp_path / "c.png", history, title="a run")).std() > 0.05
    assert pixels(draw_class_shares(tmp_path / "s.png", shares[-1])).std() > 0.05


def test_effective_number_of_classes():
    np.testing.assert_allclose(effective_number([[0.25] * 4, [1, 0, 0, 0]]), [4, 1])


def test_nothing_is_left_of_a_picture_that_fails(tmp_path):
    with pytest.raises(ValueError, match="same shape"):
        draw_picks(tmp_path / "a.png", np.zeros((20, 20), np.float32), 1.0, [1, 2], [3])
    assert not list(tmp_path.iterdir())
