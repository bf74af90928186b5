"""Images of other pixel and box sizes, magnified, aberrated and blurred, give the samples of the model's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import get_backend
from boxwood.class2d.optics import OpticsGroup, SampledOptics
from boxwood.errors import InputError
from boxwood.imaging.aberrations import beam_tilt_phase, zernike, zernike_phase
from boxwood.imaging.polar import PolarGrid

MODEL = OpticsGroup(48, 3.0)
RADIUS, EDGE = 52.0, 12.0
GRID = PolarGrid(48, (RADIUS + EDGE / 2) / 3.0, 3.0, 23)
# Gaussian blobs of which nothing is left at the mask or at Nyquist, to a thousandth; in Angstrom.
BLOBS = np.random.default_rng(4).uniform(-10, 10, (5, 2))
WIDTH = 6.0
CPU = get_backend("cpu")


def density(f):
    """Transform of the object at (n, 2) frequencies in 1/Angstrom."""
    return np.exp(-2j * np.pi * (f @ BLOBS.T)).sum(axis=1) * np.exp(
        -2 * (np.pi * WIDTH) ** 2 * (f**2).sum(axis=1)
    )


def image_of(group, offset_px):
    """What the microscope of a group records of the object, in units that make its noise 1 per pixel."""
    n, a = group.box_px, group.pixel_size_angstrom
    k = np.fft.fftfreq(n, a)
    lattice = np.stack(np.meshgrid(k, k, indexing="xy"), axis=-1).reshape(-1, 2)
    f = lattice @ np.asarray(group.magnification).T
    phase = zernike_phase(group.odd_zernike, f, odd=True)
    phase += 2 * np.pi * (f @ np.asarray(offset_px)) * MODEL.pixel_size_angstrom
    phase += beam_tilt_phase(group.beam_tilt_mrad, group.voltage_kv, group.cs_mm, f)
    spectrum = density(f) * np.exp(1j * phase) * np.exp(-2j * np.pi * a * (lattice @ [n // 2, n // 2]))
    if group.mtf is not None:
        spectrum *= np.interp(np.hypot(*lattice.T), *group.mtf.T)
    return np.fft.ifft2(spectrum.reshape(n, n)).real.astype(np.float32)[None] / a


def samples_of(group, offset_px=(0, 0)):
    optics = SampledOptics(group, MODEL, GRID, RADIUS, EDGE)
    transform, _ = optics.transform(image_of(group, offset_px), np.array([offset_px]), CPU, 1)
    return optics, transform[0]


def assert_samples_are_the_models(group, offset_px=(0, 0)):
    optics, got = samples_of(group, offset_px)
    want = density(optics.frequencies.astype(np.float64)) / MODEL.pixel_size_angstrom
    inside = optics.inside
    # Gridding with a kernel of four taps is good to about 2e-3 of the largest value (tests/kernels).
    np.testing.assert_allclose(got[inside], want[inside], atol=3e-3 * np.abs(want).max())
    assert not got[~inside].any()


@settings(max_examples=40, deadline=None)
@given(
    box=st.sampled_from([40, 51, 64, 90]),
    pixel=st.floats(1.8, 4.5),
    stretch=st.tuples(*[st.floats(-0.03, 0.03)] * 4),
    tilt=st.tuples(*[st.floats(-0.5, 0.5)] * 2),
    odd=st.lists(st.floats(-3, 3), max_size=6),
    offset=st.tuples(*[st.integers(-3, 3)] * 2),
    blurred=st.booleans(),
)
def test_samples_are_those_of_the_model(box, pixel, stretch, tilt, odd, offset, blurred):
    if box * pixel < 2 * (RADIUS + EDGE):
        box = 2 * round((RADIUS + EDGE) / pixel + 1)
    mtf = np.array([[0.0, 1.0], [0.6 / pixel, 0.4], [2.0, 0.1]]) if blurred else None
    group = OpticsGroup(
        box, pixel, np.eye(2) + np.reshape(stretch, (2, 2)), tilt, 300.0, 2.7, tuple(odd), (), mtf
    )
    assert_samples_are_the_models(group, offset)


def test_the_models_own_images_are_left_as_they_are():
    optics, got = samples_of(MODEL)
    plain, _ = CPU.polar_transform(image_of(MODEL, (0, 0)), None, optics.mask, GRID.positions, 1)
    np.testing.assert_array_equal(got, plain[0])


def test_rings_beyond_nyquist_have_no_weight():
    coarse = SampledOptics(OpticsGroup(24, 6.0), MODEL, GRID, RADIUS, EDGE)
    reached = GRID.ring_mean(coarse.inside[None].astype(float), GRID.rings)[0]
    # Both boxes have 144 Angstrom, so rings are those of the coarse images, up to half of their box.
    np.testing.assert_array_equal(reached, np.arange(1, GRID.rings + 1) < 12)
    rows = np.array([[1e4, 1e4, 0, 0, 300, 2.7, 0.1, 0, 1.0]])
    for ctf in (coarse.ctf(rows, 1, None, 0, CPU, 1), coarse.ctf(None, 1, None, 0, CPU, 1)):
        assert not ctf[:, ~coarse.inside].any() and (ctf[:, coarse.inside] != 0).all()


def test_even_aberrations_move_the_phase_of_the_ctf():
    """Defocus and spherical aberration are even Zernike polynomials themselves."""
    plain = OpticsGroup(48, 3.0)
    rows = np.array([[9000.0, 9000.0, 0, 20, 300, 0.0, 0.1, 5.0, 0.9]])
    more = rows + np.array([400.0, 400.0, 0, 0, 0, 0, 0, 0, 0])
    wavelength = 12.2643247 / np.sqrt(300e3 * (1 + 0.978466e-6 * 300e3))
    # -pi lambda 400 |f|^2 = c (2 |f|^2 - 1) + c
    c = -np.pi * wavelength * 400 / 2
    shifted = OpticsGroup(48, 3.0, even_zernike=(c, 0.0, c))
    for mode in (0, 1):
        want = SampledOptics(plain, MODEL, GRID, RADIUS, EDGE).ctf(more, 1, None, mode, CPU, 1)
        got = SampledOptics(shifted, MODEL, GRID, RADIUS, EDGE).ctf(rows, 1, None, mode, CPU, 1)
        np.testing.assert_allclose(got, want, atol=2e-5)  # float32 phases of a few hundred half turns
    with pytest.raises(InputError, match="leave out one of rlnEvenZernike and ctf_intact_first_peak"):
        SampledOptics(shifted, MODEL, GRID, RADIUS, EDGE).ctf(rows, 1, None, 2, CPU, 1)


def test_the_ctf_of_a_turned_image_turns_with_it():
    rows = np.array([[15000.0, 9000.0, 30.0, 0, 300, 2.7, 0.1, 0, 1.0]] * 2)
    psi = np.array([0.0, 50.0])
    turned_rows = rows.copy()
    turned_rows[:, 2] += psi
    optics = SampledOptics(MODEL, MODEL, GRID, RADIUS, EDGE)
    got, want = optics.ctf(rows, 2, psi, 0, CPU, 1), optics.ctf(turned_rows, 2, None, 0, CPU, 1)
    # Turned float32 frequencies: phases of up to 200 half turns, each good to 2^-22.
    np.testing.assert_allclose(got, want, atol=1e-3)


@given(n=st.integers(0, 6), x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_zernike_polynomials_are_bounded_and_of_their_parity(n, x, y):
    r = max(1.0, np.hypot(x, y))
    x, y = np.array([x / r]), np.array([y / r])
    for m in range(-n, n + 1, 2):
        value = zernike(n, m, x, y)
        assert abs(value) <= 1 + 1e-12
        np.testing.assert_allclose(zernike(n, m, -x, -y), (-1) ** n * value, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((4, 3.0), "an optics group has images of 4 px"),
        ((64, 0.0), "images of 64 px at 0.0 Å/px"),
        ((64, 3.0, np.zeros((2, 2))), "should be near to the identity"),
    ],
)
def test_nonsense_is_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        OpticsGroup(*arguments)
