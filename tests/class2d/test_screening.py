"""Bad particles get no weight and stop nothing, whatever is wrong with them; bad sets are named."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import get_backend
from boxwood.class2d import Class2DParameters, classify2d
from boxwood.class2d.screening import (
    Fault,
    complaints,
    ctf_faults,
    image_faults,
    normalised,
    usual_deviation,
)
from boxwood.class2d.source import ArraySource
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
from boxwood.simulate import simulate_particles

BOX, PIXEL, COUNT = 32, 7.0, 60
SMALL = Class2DParameters(
    classes=3, iterations=2, mask_diameter_angstrom=150, psi_step_deg=18, offset_range_px=2
)


@cache
def simulated():
    return simulate_particles(COUNT, BOX, PIXEL, classes=3, snr=0.5, max_offset_px=1.0, seed=2)


@pytest.fixture
def particles():
    return simulated()


def last_of(images, rows, parameters=SMALL, **more):
    return list(
        classify2d(images, rows, pixel_size_angstrom=PIXEL, parameters=parameters, threads=1, **more)
    )[-1]


SPOILERS = {
    Fault.NOT_FINITE: (np.nan, np.inf, -np.inf),
    Fault.TOO_STRONG: (1e4, -1e6, 1e30, 3e38),
}
BAD_CTF = [(0, np.nan), (1, np.inf), (4, 0.0), (4, -200.0), (6, 1.0), (7, -1e9), (8, np.nan)]


@settings(max_examples=8, deadline=None)
@given(
    spoilt=st.dictionaries(
        st.integers(0, COUNT - 1),
        st.one_of(
            st.sampled_from([(f, v) for f, values in SPOILERS.items() for v in values]),
            st.just((Fault.CONSTANT, 3.0)),
            st.sampled_from([(Fault.CTF, place) for place in BAD_CTF]),
        ),
        max_size=12,
    ),
    memory_gib=st.sampled_from([4.0, 1e-6]),
    zero_mask=st.booleans(),
)
def test_whatever_is_wrong_the_others_go_on(spoilt, memory_gib, zero_mask):
    particles = simulated()
    images, rows = particles.images.copy(), particles.ctf_rows.copy()
    for i, (fault, value) in spoilt.items():
        if fault == Fault.CTF:
            rows[i, value[0]] = value[1]
        elif fault == Fault.CONSTANT:
            images[i] = value
        else:
            images[i, 3, 4] = value
    result = last_of(images, rows, replace(SMALL, memory_gib=memory_gib, zero_mask=zero_mask))
    assert {i: Fault(result.faults[i]) for i in result.bad} == {i: f for i, (f, _) in spoilt.items()}
    used = np.setdiff1d(np.arange(COUNT), list(spoilt))
    assert (result.assignments.class_index[used] >= 0).all()
    assert (np.delete(result.assignments.class_index, used) == -1).all()
    assert np.isfinite(result.model.references).all() and np.isfinite(result.model.sigma2).all()
    assert np.isfinite(result.assignments.log_likelihood[used]).all()
    # Those without weight have no part in the mean that all others are scaled to.
    assert result.model.mean_norm == pytest.approx(result.model.norm[used].mean(), rel=1e-12)
    assert 0.7 < result.model.mean_norm < 1.3


def test_a_ctf_without_contrast_anywhere_is_no_reason_to_stop(particles):
    rows = particles.ctf_rows.copy()
    rows[:5, [0, 1, 3, 5, 6]] = 0.0
    rows[5:8, 8] = 0.0
    result = last_of(particles.images, rows)
    assert not result.bad
    assert np.isfinite(result.assignments.log_likelihood).all()
    assert np.isfinite(result.model.references).all()


def test_bad_particles_are_known_when_going_on(particles):
    images = particles.images.copy()
    images[4] = np.nan
    parameters = replace(SMALL, iterations=3)
    run = list(classify2d(images, particles.ctf_rows, pixel_size_angstrom=PIXEL, parameters=parameters))
    again = last_of(images, particles.ctf_rows, parameters, start=run[1])
    assert again.bad == run[-1].bad == (4,)
    assert again.model.references.tobytes() == run[-1].model.references.tobytes()


class Counting(ArraySource):
    """Counts how often every image is read."""

    reads = None

    def read(self, indices):
        np.add.at(Counting.reads, indices, 1)
        return super().read(indices)


def test_images_are_read_once_and_a_sample_of_them_before(particles):
    Counting.reads = np.zeros(1200, dtype=int)
    many = np.tile(particles.images, (20, 1, 1))
    parameters = replace(SMALL, offset_range_px=0.0)  # nothing moves, so nothing is read again
    last_of(Counting(many), np.tile(particles.ctf_rows, (20, 1)), parameters)
    sampled = Counting.reads - 1
    # The very first image tells the box; about 500 of the others tell the usual contrast.
    assert sampled[0] == 2 and set(sampled[1:]) == {0, 1} and sampled.sum() <= 602


def test_too_few_are_left(particles):
    images = particles.images.copy()
    images[2:] = np.nan
    with pytest.raises(InputError, match="2 usable particles are too few for 3 classes"):
        last_of(images, particles.ctf_rows)
    with pytest.raises(InputError, match="0 usable particles are too few for 3 classes"):
        last_of(images, np.full((COUNT, 9), np.nan))


@given(factor=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_ordinary_images_are_usable_in_any_unit(factor, shift):
    images = (simulated().images * factor + shift).astype(np.float32)
    assert not image_faults(images, usual_deviation(images)).any()


def test_only_wrong_sets_are_complained_about(particles):
    mask = soft_circle((BOX, BOX), 10, 3)
    images = particles.images
    assert complaints(images, mask) == []
    assert ["use --normalise" in text for text in complaints(images * 5, mask)] == [True]
    assert ["has mean 3." in text for text in complaints(images + 3.3, mask)] == [True]
    assert ["darker than their surroundings" in text for text in complaints(-images, mask)] == [True]
    assert complaints(images[:0], mask) == [] and complaints(images, np.ones((BOX, BOX))) == []


def test_complaints_are_warnings(particles):
    with pytest.warns(UserWarning, match="the background of particles has mean 7"):
        next(classify2d(particles.images + 7, pixel_size_angstrom=PIXEL, parameters=SMALL))
    heard = []
    next(classify2d(-particles.images, pixel_size_angstrom=PIXEL, parameters=SMALL, warn=heard.append))
    assert len(heard) == 1 and "inverted contrast" in heard[0]


def test_an_image_of_another_unit_is_a_fault(particles):
    images = particles.images.copy()
    images[3] *= 1e-20
    images[7] *= 1e6
    result = last_of(images, particles.ctf_rows)
    assert [Fault(result.faults[i]) for i in (3, 7)] == [Fault.TOO_WEAK, Fault.TOO_STRONG]
    assert result.bad == (3, 7)


def test_a_set_without_a_finite_image_is_refused(particles):
    with pytest.raises(InputError, match="0 usable particles are too few for 3 classes"):
        last_of(np.full_like(particles.images, np.nan), particles.ctf_rows)


def test_a_mask_wider_than_the_box_is_said(particles):
    heard = []
    wide = replace(SMALL, mask_diameter_angstrom=BOX * PIXEL + 1)
    next(classify2d(particles.images, pixel_size_angstrom=PIXEL, parameters=wide, warn=heard.append))
    assert heard == ["the mask of 225 Å is wider than the box of 224 Å; it is 154 Å wide instead"]


def test_normalising_on_the_fly_is_that_of_extraction(particles):
    """A ramp, another mean and another unit are gone; what cannot be normalised is still screened."""
    ramp = np.linspace(0, 40, BOX, dtype=np.float32)
    spoilt = 17 * particles.images + 500 + ramp
    got, plain = (normalised(images, 11.0, get_backend("cpu"), 1) for images in (spoilt, particles.images))
    # float32 of grey values around 600 has 2e-5 of a deviation of 17.
    np.testing.assert_allclose(got, plain, atol=5e-5)
    outside = got[:, soft_circle((BOX, BOX), 11.0, 0) == 0]
    np.testing.assert_allclose(outside.mean(axis=1), 0, atol=0.02)
    np.testing.assert_allclose(outside.std(axis=1), 1, atol=0.02)
    spoilt[3, 0, 0], spoilt[5] = np.nan, 4.0
    result = last_of(spoilt, particles.ctf_rows, replace(SMALL, normalise=True))
    assert {i: result.faults[i] for i in result.bad} == {3: Fault.NOT_FINITE, 5: Fault.CONSTANT}
    with pytest.raises(InputError, match="images of 31 px cannot be normalised"):
        last_of(particles.images[:, 1:, 1:], particles.ctf_rows, replace(SMALL, normalise=True))


def test_ctf_faults_are_told_apart():
    rows = np.tile([1e4, 1e4, 0, 0, 300, 2.7, 0.1, 0, 1.0], (len(BAD_CTF) + 1, 1))
    for row, (column, value) in zip(rows, BAD_CTF, strict=False):
        row[column] = value
    assert ctf_faults(rows).tolist() == [Fault.CTF] * len(BAD_CTF) + [Fault.NONE]
    assert all(fault.sentence for fault in Fault if fault)
