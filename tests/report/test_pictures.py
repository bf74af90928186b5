"""Pictures show what they are given: read back, their pixels differ where the input differs."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boxwood.errors import InputError
from boxwood.report import (
    draw_class_averages,
    draw_convergence,
    draw_particles,
    draw_pick_statistics,
    draw_picks,
    draw_sheet,
    preview,
)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")) / 255


@pytest.fixture
def micrograph():
    return np.random.default_rng(0).standard_normal((220, 300)).astype(np.float32)


def test_picks_are_circles_around_their_coordinates(tmp_path, micrograph):
    image = preview(micrograph, 2.0)
    without = pixels(draw_picks(tmp_path / "a.png", *image, [], [], 30.0, "one"))
    drawn = pixels(draw_picks(tmp_path / "b.png", *image, [100], [60], 30.0, "one"))
    rows, columns = np.nonzero(np.abs(drawn - without).max(axis=-1) > 0.2)
    # the circle is 30 px of a micrograph 300 px wide, which fills most of the picture
    assert 0.05 < np.ptp(columns) / drawn.shape[1] < 0.1
    assert abs(np.ptp(columns) - np.ptp(rows)) <= 2
    assert columns.mean() < drawn.shape[1] / 2
    assert rows.mean() < drawn.shape[0] / 2


def test_circles_take_the_colour_of_their_fom(tmp_path, micrograph):
    image = preview(micrograph, 2.0)
    path = draw_picks(tmp_path / "a.png", *image, [60, 240], [100, 100], 30.0, "two", fom=[0.1, 0.9])
    image = pixels(path)
    left, right = image[:, : image.shape[1] // 3], image[:, image.shape[1] // 2 : image.shape[1] * 3 // 4]
    red, green = left[..., 0] - left[..., 1], right[..., 1] - right[..., 0]
    assert (red > 0.3).sum() > 30
    assert (green > 0.2).sum() > 30
    assert (left[..., 1] - left[..., 0] > 0.2).sum() == 0


def test_micrographs_with_holes_are_drawn(tmp_path, micrograph):
    micrograph[10:20, 10:20] = np.nan
    image, factor = preview(micrograph, 2.0)
    assert np.isfinite(image).all()
    assert pixels(draw_picks(tmp_path / "a.png", image, factor, [], [], 1.0, "holes")).std() > 0.05


def test_previews_keep_the_mean_and_drop_detail():
    x = np.mgrid[:1500, :2000][1]
    image, factor = preview(7 + np.cos(2 * np.pi * x / 400) + np.cos(2 * np.pi * x / 20), 1.0, 20.0)
    assert factor == 2
    assert image.shape == (750, 1000)
    # the Gaussian keeps 2^-(20/400)^2 of the power at 400 px and half of that at 20 px; pairs of pixels
    # are averaged before, which leaves cos(pi / period) of an amplitude
    power = np.abs(np.fft.rfft2(image, norm="forward")) ** 2
    assert power[0, 0] == pytest.approx(49, rel=1e-5)
    assert power[0, 5] == pytest.approx(0.25 * 2 ** -(0.05**2) * np.cos(np.pi / 400) ** 2, rel=1e-4)
    assert power[0, 100] == pytest.approx(0.25 / 2 * np.cos(np.pi / 20) ** 2, rel=1e-4)


def test_previews_of_anything():
    assert preview(np.zeros((3, 2000), np.float32), 1.0)[0].shape == (1, 1000)
    assert np.isfinite(preview(np.full((5, 5), np.nan), 1.0)[0]).all()


@pytest.mark.parametrize("fom", [[], [np.nan], [0.5], np.linspace(0, 1, 500)])
def test_statistics_of_any_number_of_picks(tmp_path, fom):
    assert pixels(draw_pick_statistics(tmp_path / "h.png", fom, [len(fom), 0])).shape[0] > 100


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
    image = pixels(draw_class_averages(tmp_path / "a.png", averages, [0.1, 0.9], [np.inf, 12.0], "two"))
    left, right = np.array_split(image[image.shape[0] // 3 :], 2, axis=1)
    centre = np.s_[20:-20, 20:-20]
    assert left[centre].std() > 0.1
    assert np.ptp(right[centre]) == 0


def test_galleries_show_particles_and_their_mean(tmp_path):
    images = np.random.default_rng(0).standard_normal((30, 16, 16))
    flat = pixels(draw_particles(tmp_path / "a.png", images, np.zeros((16, 16)), 30))
    disc = pixels(draw_particles(tmp_path / "b.png", images, np.eye(16), 30))
    columns = np.nonzero((flat != disc).any(axis=(0, 2)))[0]
    assert columns.min() > 0.8 * flat.shape[1]
    with pytest.raises(InputError, match="n > 0"):
        draw_particles(tmp_path / "c.png", images[:0], np.eye(16), 0)


def test_convergence_with_missing_values(tmp_path):
    n = 6
    history = pd.DataFrame(
        {
            "iteration": range(n),
            "log_likelihood": [np.nan, *np.linspace(-5, 3, n - 1)],
            "resolution_angstrom": [np.inf, np.inf, 40, 20, 15, 12],
            "half_set_resolution_angstrom": [np.inf, np.inf, 50, 25, 20, 18],
            "changed_psi_deg": np.linspace(90, 3, n),
            "accuracy_psi_deg": [np.inf, 30, 9, 5, 4, 3],
            "changed_offset_px": np.linspace(2, 0.5, n),
            "accuracy_offset_px": [np.inf, 2, 1, 0.5, 0.4, 0.4],
            "effective_classes": np.linspace(5, 3, n),
            "populated_classes": [5.0] * n,
            "largest_class": np.linspace(0.2, 0.5, n),
            "changed_classes": np.linspace(1, 0, n),
            "largest_probability": np.linspace(0.1, 0.9, n),
        }
    )
    assert pixels(draw_convergence(tmp_path / "c.png", history, 5)).std() > 0.05
    assert pixels(draw_convergence(tmp_path / "first.png", history[:1], 5)).std() > 0.01


def test_nothing_is_left_of_a_picture_that_fails(tmp_path):
    with pytest.raises(ValueError, match="same shape"):
        draw_picks(tmp_path / "a.png", np.zeros((20, 20)), 1, [1, 2], [3], 5.0, "uneven")
    assert not list(tmp_path.iterdir())
