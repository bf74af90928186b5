import numpy as np
import pytest

from boxwood.imaging.masks import radius_grid, soft_circle


def test_radius_is_measured_from_pixel_half_n():
    r = radius_grid((6, 5))
    assert r[3, 2] == 0
    assert r[0, 2] == 3
    assert r[3, 4] == 2


@pytest.mark.parametrize("edge", [5.0, 2.5])
def test_soft_circle_is_the_raised_cosine(edge):
    mask, r = soft_circle((64, 64), 20, edge), radius_grid((64, 64))
    assert (mask[r < 20] == 1).all()
    assert (mask[r > 20 + edge] == 0).all()
    between = (r > 20) & (r < 20 + edge)
    expected = 0.5 - 0.5 * np.cos(np.pi * (20 + edge - r[between]) / edge)
    np.testing.assert_allclose(mask[between], expected, atol=10 * np.finfo(float).eps)


def test_without_edge_the_circle_is_hard():
    assert set(np.unique(soft_circle((9, 9), 3, 0))) == {0.0, 1.0}
    assert soft_circle((9, 9), 3, 0)[4, 4 + 2] == 1
    assert soft_circle((9, 9), 3, 0)[4, 4 + 3] == 0
