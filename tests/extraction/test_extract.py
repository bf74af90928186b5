"""extract_particles: geometry, sizes, refusals."""

import numpy as np
import pytest

from boxwood.errors import InputError
from boxwood.extraction import CtfCorrection, Fault, extract_particles

EPS = float(np.finfo(np.float32).eps)
CTF = np.array([[15000, 14500, 30, 0, 200, 1.4, 0.1, 0, 1.0]])


def noise(ny=200, nx=260, seed=0):
    return np.random.default_rng(seed).standard_normal((ny, nx)).astype(np.float32)


def extract(image, x, y, **given):
    return extract_particles(
        image, x, y, **{"pixel_size_angstrom": 1.5, "box_size": 32, "threads": 1} | given
    )


def blob(x, y, ny=100, nx=120):
    rows, columns = np.mgrid[:ny, :nx]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))


def centre_of_mass(image):
    weights = np.maximum(image.astype(np.float64) - 0.3 * image.max(), 0)
    i = np.arange(len(image)) - len(image) // 2
    return np.array([(weights.sum(axis=0) * i).sum(), (weights.sum(axis=1) * i).sum()]) / weights.sum()


def test_the_coordinate_becomes_the_centre_pixel():
    image = np.zeros((50, 60), np.float32)
    image[20, 31] = 1
    particle = extract(image, [31.99], [20.5], box_size=12, normalise=False).images[0]
    assert np.unravel_index(particle.argmin(), particle.shape) == (6, 6)


def test_negative_coordinates_are_cut_off_towards_zero():
    result = extract(noise(), [-0.9, -1.1], [-0.5, 7.0], normalise=False)
    whole = extract(noise(), [0, -1], [0, 7], normalise=False)
    assert np.array_equal(result.images, whole.images)


@pytest.mark.parametrize("rescale", [None, 16, 48])
def test_subpixel_centring(rescale):
    x, y = 60.37, 44.81
    image = blob(x, y)
    given = {"box_size": 40, "rescale": rescale, "normalise": False, "invert_contrast": False}
    pixel = 40 / (rescale or 40)
    cut = centre_of_mass(extract(image, [x], [y], **given).images[0]) * pixel
    exact = centre_of_mass(extract(image, [x], [y], recentre_subpixel=True, **given).images[0]) * pixel
    assert np.abs(cut - [0.37, 0.81]).max() < 0.1
    assert np.abs(exact).max() < 0.02


@pytest.mark.filterwarnings("ignore:.*wholly outside")
def test_wholly_outside_is_dropped_and_edges_are_told():
    x = [-16, -15, 15, 16, 100, 260 - 16, 260 - 15, 260 + 15, 260 + 16]
    result = extract(noise(), x, [100] * len(x))
    assert result.kept.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert result.outside.tolist() == [0, 8]
    assert result.touches_edge.tolist() == [True, True, False, False, False, True, True]
    inside = extract(noise(), x, [100] * len(x), edge="drop")
    assert inside.kept.tolist() == [3, 4, 5]
    assert np.array_equal(inside.images, result.images[[2, 3, 4]])


def test_a_warning_tells_how_many_lie_outside():
    with pytest.warns(UserWarning, match="1 of 2 particles lie wholly outside"):
        assert len(extract(noise(), [-500, 50], [50, 50]).images) == 1


def test_sizes_and_pixel_size():
    result = extract(noise(), [50], [60], box_size=64, rescale=32, window=24)
    assert result.images.shape == (1, 24, 24)
    assert result.pixel_size_angstrom == 3.0
    with pytest.warns(UserWarning, match="rescale is 31 px, an odd number; 32 px is used"):
        assert extract(noise(), [50], [60], box_size=64, rescale=31).images.shape == (1, 32, 32)


def test_rescaling_down_keeps_low_frequencies():
    y, x = np.mgrid[:200, :260]
    wave = np.cos(2 * np.pi * (3 * x + 2 * y) / 64)
    small = extract(
        wave, [128], [96], box_size=64, rescale=16, normalise=False, invert_contrast=False
    ).images[0]
    assert np.abs(small - wave[64:128:4, 96:160:4]).max() < 64 * EPS


def test_none_and_minus_one_are_the_default_background():
    default = extract(noise(), [50], [60]).images
    assert np.array_equal(default, extract(noise(), [50], [60], background_diameter=-1).images)
    assert np.array_equal(default, extract(noise(), [50], [60], background_diameter=24).images)
    assert not np.array_equal(default, extract(noise(), [50], [60], background_diameter=30).images)


def test_integers_are_read_and_inversion_is_a_sign():
    image = np.random.default_rng(1).integers(0, 4000, (100, 100), dtype=np.uint16)
    result = extract(image, [50], [60])
    assert np.array_equal(
        result.images, -extract(image.astype(np.float64), [50], [60], invert_contrast=False).images
    )


def test_faults_are_told():
    image = noise()
    image[:60, :60] = 3
    image[150, 150] = np.nan
    result = extract(image, [25, 150, 220], [25, 150, 60])
    assert [Fault(f) for f in result.faults] == [Fault.CONSTANT, Fault.NOT_FINITE, Fault.NONE]
    assert np.isfinite(result.images).all()


def test_no_particles_no_images():
    result = extract(noise(), [], [])
    assert result.images.shape == (0, 32, 32)
    assert len(result.kept) == 0


@pytest.mark.parametrize("flip_only", [False, True])
def test_a_ctf_of_one_changes_nothing_but_the_mean_outside(flip_only):
    one = CtfCorrection(np.array([[0, 0, 0, 0, 200, 0, 1.0, 0, 1]]), flip_only=flip_only, box=48)
    x, y = [100, 30, 5], [100, 120, 190]
    plain, same = extract(noise(), x, y), extract(noise(), x, y, ctf=one)
    assert np.abs(plain.images - same.images).max() < 200 * EPS


def test_the_sign_of_the_ctf():
    """A wave where the CTF is negative turns over; amplitude contrast alone turns all of them over."""
    flipped = CtfCorrection(np.array([[0, 0, 0, 0, 200, 0, 1.0, 0, -1]]), flip_only=True)
    plain, turned = extract(noise(), [100], [100]), extract(noise(), [100], [100], ctf=flipped)
    assert np.abs(plain.images + turned.images).max() < 200 * EPS


def test_every_particle_may_have_its_own_ctf():
    n = 70  # more than are filtered at once
    x = np.linspace(20, 200, n)
    rows = np.repeat(CTF, n, axis=0)
    rows[:, 0] += np.linspace(0, 20000, n)
    together = extract(noise(), x, x[::-1] % 180 + 10, ctf=CtfCorrection(rows, box=40))
    for i in (0, 63, 64, 69):
        alone = extract(
            noise(), x[i : i + 1], (x[::-1] % 180 + 10)[i : i + 1], ctf=CtfCorrection(rows[i : i + 1], box=40)
        )
        assert np.array_equal(alone.images[0], together.images[i])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"box_size": 33}, "box_size is 33 px; it must be an even number of at least 4, e.g. 34"),
        ({"box_size": 0}, "box_size is 0 px; .* e.g. 4"),
        ({"background_diameter": 40}, "background circle of 40 px is wider than the image; .* at most 32 px"),
        ({"rescale": 16, "window": 20}, "window is 20 px, but the rescaled box has 16 px"),
        ({"pixel_size_angstrom": 0}, "pixel_size_angstrom is 0; it must be above 0"),
        ({"edge": "mirror"}, "edge is 'mirror'; choose replicate or drop"),
        (
            {"micrograph": np.zeros((3, 4, 5))},
            r"shape \(3, 4, 5\); expected real numbers with shape \(ny, nx\)",
        ),
        ({"micrograph": np.zeros((40, 50), complex)}, "the micrograph is an array of complex128"),
        ({"x": [1.0, np.nan], "y": [1.0, 2.0]}, "coordinate 1 is .*; expected finite pixel numbers"),
        ({"x": [1.0, 2.0]}, r"x has shape \(2,\) and y \(1,\)"),
        (
            {"ctf": CtfCorrection(np.zeros((3, 9)))},
            r"rows have shape \(3, 9\), expected \(1, 9\) or \(1, 9\)",
        ),
        ({"ctf": CtfCorrection(CTF, box=30)}, "CTF's box is 30 px; it must be at least the box size, 32 px"),
        ({"backend": "gpu"}, "backend 'gpu' is unknown"),
    ],
)
def test_refusals(change, sentence):
    given = {"micrograph": noise(), "x": [50.0], "y": [60.0], "pixel_size_angstrom": 1.0, "box_size": 32}
    with pytest.raises(InputError, match=sentence):
        extract_particles(**given | change)
