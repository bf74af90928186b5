"""What is measured on classified particles, where the truth is known, and the score made of it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.class2d.cartesian.images import MASK_EDGE_PX
from boxwood.class2d.particle_measures import ParticleComparison, ParticleMeasures, Poses
from boxwood.class2d.particle_score import FEATURES, UNKNOWN, particle_features, score_particles
from boxwood.class2d.robust import beside_usual, weighted_median
from boxwood.imaging.masks import soft_circle
from boxwood.simulate import simulate_particles

BOX, PIXEL, MASK, N = 48, 4.0, 180.0, 40
NOISE = np.full((N, BOX // 2 + 1), 1 / (2 * BOX**2))  # white noise of variance 1, half per component


@pytest.fixture(scope="module")
def made():
    return simulate_particles(N, BOX, PIXEL, classes=2, snr=1.0, max_offset_px=2, coloured_noise=0, seed=3)


@pytest.fixture(scope="module")
def compare(made):
    return ParticleComparison(made.references, PIXEL, MASK, 32, get_backend("cpu"))


def poses_of(made):
    return Poses(made.class_index, made.angles_deg[:, 2], made.offsets_px)


def test_true_poses_explain_particles_and_wrong_ones_do_not(made, compare):
    poses, factors = poses_of(made), np.ones(N)
    true = compare(made.images, factors, poses, made.ctf_rows, NOISE)
    assert np.median(true.likeness) == pytest.approx(1, abs=0.05)
    # Nothing but noise is left, of which the mask takes a part.
    mask = soft_circle((BOX, BOX), MASK / (2 * PIXEL), MASK_EDGE_PX)
    assert np.median(true.leftover) == pytest.approx(np.mean(mask**2), rel=0.1)
    wrong = (
        replace(poses, psi_deg=poses.psi_deg + 90),
        replace(poses, offset_px=poses.offset_px + 5),
        replace(poses, class_index=1 - poses.class_index),
    )
    for other in wrong:
        worse = compare(made.images, factors, other, made.ctf_rows, NOISE)
        assert (worse.evidence < true.evidence).mean() > 0.9
    flipped = compare(-made.images, factors, poses, made.ctf_rows, NOISE)
    assert np.median(flipped.likeness) == pytest.approx(-1, abs=0.05)


def test_noise_has_no_likeness_and_evidence_against_it(made, compare):
    noise = np.random.default_rng(4).normal(size=made.images.shape).astype(np.float32)
    found = compare(noise, np.ones(N), poses_of(made), made.ctf_rows, NOISE)
    assert np.median(found.likeness) == pytest.approx(0, abs=0.1)
    assert (found.evidence < 0).mean() > 0.9


def test_the_grey_scale_of_an_image_is_taken_into_account(made, compare):
    poses = poses_of(made)
    one = compare(made.images, np.ones(N), poses, made.ctf_rows, NOISE)
    other = compare(3 * made.images, np.full(N, 1 / 3), poses, made.ctf_rows, NOISE)
    np.testing.assert_allclose(one.evidence, other.evidence, rtol=1e-4)
    np.testing.assert_allclose(3 * one.deviation, other.deviation, rtol=1e-6)


def test_scores_fall_with_what_speaks_against_a_particle():
    rng = np.random.default_rng(5)
    n = 60
    plain = ParticleMeasures(
        evidence=rng.normal(50, 10, n), likeness=rng.normal(1, 0.1, n), leftover=rng.normal(1, 0.05, n),
        mean=rng.normal(0, 0.05, n), deviation=rng.normal(1.1, 0.02, n),
    )  # fmt: skip
    index, classes, micrographs = np.zeros(n, int), np.array([0.9, 0.05]), np.arange(n) % 2
    usual = score_particles(plain, index, classes, micrographs)
    assert np.median(usual.score) > 0.8 and list(usual.features) == list(FEATURES)
    odd = {"evidence": -20.0, "likeness": 0.0, "leftover": 1.6, "mean": 0.5, "deviation": 0.95}
    for name, value in odd.items():
        values = getattr(plain, name).copy()
        values[7] = value
        other = score_particles(replace(plain, **{name: values}), index, classes, micrographs)
        assert other.score[7] < usual.score[7]
    index[7] = 1
    poor = score_particles(plain, index, classes, micrographs)
    assert poor.score[7] < usual.score[7]
    evidence = plain.evidence.copy()
    index[3], evidence[5] = -1, np.nan
    partly = score_particles(replace(plain, evidence=evidence), index, classes, micrographs)
    assert partly.score[3] == partly.score[5] == 0
    assert partly.worst()[3] == partly.worst()[5] == UNKNOWN
    rest = np.delete(np.arange(n), [3, 5])
    assert (partly.score[rest] > 0).all() and UNKNOWN not in partly.worst()[rest]


def test_nothing_measured_has_no_score():
    found = score_particles(ParticleMeasures.none(3), np.zeros(3, int), np.array([0.9]), np.array(["a"] * 3))
    assert (found.score == 0).all() and (found.worst() == UNKNOWN).all()
    assert len(fields(ParticleMeasures)) == 5


def test_a_micrograph_with_few_particles_is_judged_by_all():
    rng = np.random.default_rng(6)
    n = 70
    one = ParticleMeasures(*(rng.normal(1, 0.1, n) for _ in range(5)))
    few = particle_features(one, np.zeros(n, int), np.ones(1) * 0.9, np.array(["a"] * 60 + ["b"] * 10))
    everything = particle_features(one, np.zeros(n, int), np.ones(1) * 0.9, np.array(["a"] * n))
    np.testing.assert_allclose(few["mean"][60:], everything["mean"][60:])
    assert not np.allclose(few["mean"][:60], everything["mean"][:60])


def test_usual_values_do_not_follow_odd_ones():
    values = np.append(np.random.default_rng(7).normal(5, 2, 1001), [1e6, np.nan])
    weight = np.ones(len(values))
    assert weighted_median(values, weight) == pytest.approx(5, abs=0.3)
    assert weighted_median(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 5.0])) == 3
    assert np.isnan(weighted_median(values, np.zeros(len(values))))
    beside = beside_usual(values, weight, np.full(len(values), -1))
    assert np.nanstd(beside[:1001]) == pytest.approx(1, abs=0.1)
