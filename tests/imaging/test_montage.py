import numpy as np
import pytest

from boxwood.errors import InputError
from boxwood.imaging.montage import grey_levels, montage


def test_montage_runs_along_rows():
    images = np.arange(5.0)[:, None, None] * np.ones((5, 3, 4))
    sheet = montage(images, columns=3, gap_px=1, fill=-1)
    assert sheet.shape == (3 + 1 + 3, 3 * 4 + 2)
    assert sheet[0, 0] == 0
    assert sheet[0, 5] == 1
    assert sheet[4, 0] == 3
    assert (sheet[3] == -1).all()
    assert (sheet[4:, 10:] == -1).all()


def test_montage_is_about_square_by_default():
    assert montage(np.zeros((50, 2, 2)), gap_px=0).shape == (7 * 2, 8 * 2)


def test_montage_refuses_what_is_not_a_stack():
    with pytest.raises(InputError, match=r"got shape \(3, 3\)"):
        montage(np.zeros((3, 3)))


def test_grey_levels_put_the_mean_at_one_half_and_clip():
    pixels = np.random.default_rng(0).normal(5, 2, (50, 50))
    levels = grey_levels(pixels, sigma=2)
    inside = np.abs(pixels - pixels.mean()) < 2 * pixels.std()
    expected = 0.5 + (pixels - pixels.mean()) / (4 * pixels.std())
    np.testing.assert_allclose(levels[inside], expected[inside], atol=np.finfo(np.float32).eps)
    assert levels.min() == 0
    assert levels.max() == 1


def test_grey_levels_of_constants_and_holes():
    assert (grey_levels(np.full((4, 4), 3.0)) == 0.5).all()
    assert (grey_levels(np.full((4, 4), np.nan)) == 0.5).all()
    holed = np.random.default_rng(0).random((8, 8))
    holed[2, 3] = np.inf
    assert grey_levels(holed)[2, 3] == 0.5
