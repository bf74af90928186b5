"""Adaptive picking: its parts by their properties, and the whole on small simulated micrographs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_sets import ribosome
from scipy import ndimage

from boxwood.backends import get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import signed_frequencies
from boxwood.picking.adaptive import learn_model, pick_adaptive
from boxwood.picking.adaptive.calibration import calibrate, has_mode, mode_strength, otsu
from boxwood.picking.adaptive.contamination import clean_area
from boxwood.picking.adaptive.filters import bank, disc, gaussian_bank, hankel, plane_sum
from boxwood.picking.adaptive.learn import within_range
from boxwood.picking.adaptive.maxima import Maxima, between_pixels, find_maxima
from boxwood.picking.adaptive.model import calibrated, within
from boxwood.picking.adaptive.noise import background_spectrum, synthetic_background
from boxwood.picking.adaptive.preparation import prepare_clean
from boxwood.picking.adaptive.radial import RadialFilter, particle_diameter
from boxwood.picking.adaptive.search import crowding, trial_diameters
from boxwood.picking.agreement import agreement
from boxwood.simulate import simulate_micrograph

CPU = get_backend("cpu")


def test_hankel_transform_of_a_gaussian_is_a_gaussian():
    sigma = 3.0
    r = np.arange(25)
    table = hankel(np.exp(-0.5 * (r / sigma) ** 2), 0, 24.0)
    k = np.linspace(0, np.sqrt(0.5), len(table))
    want = 2 * np.pi * sigma**2 * np.exp(-2 * (np.pi * sigma * k) ** 2)
    # linear interpolation of the profile between pixels: a second difference, h^2/12 of the curvature
    assert np.abs(table - want).max() <= want.max() / sigma**2 / 6


def test_order_zero_is_a_plain_correlation():
    """The table of a profile, applied to a point, is that profile."""
    image = np.zeros((40, 50), np.float32)
    image[20, 25] = 1
    profile = np.exp(-0.5 * (np.arange(16) / 3.0) ** 2)
    (response,), power = bank([profile], [0], None, 15.0).apply(image, CPU)
    y, x = np.indices(image.shape)
    want = np.interp(np.hypot(y - 20, x - 25), np.arange(16), profile, right=0)
    assert np.abs(response - want).max() < 0.02
    assert not power.any()


def test_gaussian_keeps_sums_and_flat_areas():
    image = np.ones((60, 80), np.float32)
    smooth = gaussian_bank(4.0).apply(image, CPU)[0][0]
    assert np.abs(smooth[20:40, 20:60] - 1).max() < 1e-4
    assert plane_sum(disc(10.0)) == pytest.approx(np.pi * 10.0**2, rel=0.02)


def test_radial_filter_has_zero_mean_and_unit_norm_also_at_edges():
    size = 20.0
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((120, 120)).astype(np.float32)
    field = prepare_clean(noise, size, CPU)
    filters = RadialFilter.of(np.exp(-0.5 * (np.arange(20) / 5.0) ** 2), size)
    response = filters.response(field, CPU)
    flat = RadialFilter.normalised(
        *filters.on_image.apply(np.ones_like(noise), CPU)[0], filters.cut(field, CPU), np.ones_like(noise)
    )
    assert np.abs(flat).max() < 2e-3  # a constant background does not count, at the edges neither
    assert response[30:-30, 30:-30].std() == pytest.approx(1, rel=0.15)
    assert response[:, :4].std() == pytest.approx(1, rel=0.5)


@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(5, 40), st.integers(5, 40)),
    distance=st.floats(1, 9),
)
def test_maxima_are_apart_and_none_is_missing(seed, shape, distance):
    score = np.random.default_rng(seed).standard_normal(shape)
    allowed = np.random.default_rng(seed + 1).random(shape) > 0.1
    found = find_maxima(score, allowed, distance, -np.inf)
    assert (np.diff(found.score) <= 0).all()
    assert allowed[found.y, found.x].all()
    apart = np.hypot(found.y[:, None] - found.y, found.x[:, None] - found.x)
    np.fill_diagonal(apart, np.inf)
    assert (apart >= distance).all()
    assert found.score[0] == score[allowed].max()


def test_vertex_of_a_paraboloid():
    y, x = np.indices((20, 30))
    score = -((y - 8.3) ** 2) - 2 * (x - 17.6) ** 2
    row, column = between_pixels(score, np.array([8]), np.array([18]))
    assert row[0] == pytest.approx(8.3)
    assert column[0] == pytest.approx(17.6)
    row, column = between_pixels(score, np.array([0]), np.array([29]))
    assert (row[0], column[0]) == (0, 29)  # no neighbours, no vertex


def test_otsu_divides_two_groups():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 0.1, 500), rng.normal(3, 0.2, 100)])
    assert 1.5 < otsu(values) < 2.5


def test_local_rates_are_those_of_a_known_mixture():
    rng = np.random.default_rng(1)
    background = rng.normal(0, 1, 40000)
    peaks = np.concatenate([rng.normal(0, 1, 20000), rng.normal(4, 1, 4000)])
    calibration = calibrate(peaks, background, 0.5)
    at = np.array([1.0, 2.0, 3.0])
    null, particle = 20000 * np.exp(-(at**2) / 2), 4000 * np.exp(-((at - 4) ** 2) / 2)
    assert np.abs(calibration.rate(at) - null / (null + particle)).max() < 0.08
    assert (np.diff(calibration.rates) <= 0).all()
    threshold = calibration.threshold(0.2)
    assert calibration.rate(threshold) == pytest.approx(0.2, abs=1e-6)
    assert calibrate(background[:0], background, 1.0).threshold(0.5) == np.inf


def test_rates_are_those_of_the_area_that_particles_leave():
    """Crowded particles among noise: what is expected to be false is what is false."""
    rng, kernels, size = np.random.default_rng(5), get_backend("cpu"), 20.0

    def noise():
        smooth = ndimage.gaussian_filter(rng.standard_normal((600, 600)), 3)
        return smooth / smooth.std()

    field = prepare_clean(rng.standard_normal((600, 600)).astype(np.float32), size, kernels)
    peaks, false = [], []
    y, x = (np.indices((600, 600)) + 12) % 25 - 12  # a lattice of particles ...
    bump = np.exp(-(y**2 + x**2) / 18)
    for _ in range(4):
        there = np.repeat(np.repeat(rng.random((24, 24)) < 0.5, 25, 0), 25, 1)  # ... half of them missing
        found = find_maxima(noise() + 4 * bump * np.roll(there, (-12, -12), (0, 1)), within(field), 15.0, -9)
        peaks.append(found)
        false.append(~np.roll(there, (-12, -12), (0, 1))[found.y, found.x] | (bump[found.y, found.x] < 0.2))
    null = [find_maxima(noise(), within(field), 15.0, -9) for _ in range(8)]
    calibration = calibrated([field] * 4, peaks, [field] * 8, null, 0.5)
    score = np.concatenate([p.score for p in peaks])
    chosen = score >= calibration.threshold(0.5)
    wrong = np.concatenate(false)[chosen].sum()
    assert chosen.sum() > 500 and 20 < wrong < 0.2 * chosen.sum()
    expected = calibration.rate(score[chosen]).sum()
    whole = calibrate(score, np.concatenate([p.score for p in null]), 0.5)
    assert abs(expected - wrong) < 3 * np.sqrt(wrong)
    assert whole.threshold(0.5) > calibration.threshold(0.5)


def test_falling_scores_have_no_mode_and_particles_have():
    rng = np.random.default_rng(2)
    strengths = [mode_strength(rng.exponential(size=150), np.ones(150)) for _ in range(300)]
    assert max(strengths) < 1.3
    uniform = [mode_strength(rng.random(150), np.ones(150)) for _ in range(300)]
    assert np.mean(np.array(uniform) > 1.3) <= 0.15
    background = rng.normal(0, 1, 4000)
    near = rng.normal(0, 1, 4000)
    particles = np.concatenate([near, rng.normal(40, 6, 150)])
    tail = np.concatenate([near, 1.8 + rng.exponential(6, 150)])
    assert has_mode(particles, calibrate(particles, background, 1.0))
    assert not has_mode(tail, calibrate(tail, background, 1.0))
    assert not has_mode(near, calibrate(near, background, 1.0))


def test_diameter_is_where_the_profile_crosses_zero_between_pixels():
    r = np.arange(12)
    for radius in (4.0, 4.3, 4.8):
        assert particle_diameter((radius - r) * np.exp(-0.01 * r)) == pytest.approx(2 * radius, abs=0.02)
    assert particle_diameter(np.ones(12)) == 22


def test_diameter_keeps_to_the_range_unless_particles_are_larger():
    assert within_range(145, 130, 150, 180) == 150
    assert within_range(190, 150, 150, 180) == 180
    assert within_range(190, 190, 150, 180) == 190
    assert within_range(300, 300, 150, 180) == 225
    assert within_range(145, 130, None, None) == 145


def test_contamination_is_masked_and_touching_particles_are_not():
    size = 16.0
    rng = np.random.default_rng(3)
    image = rng.standard_normal((200, 220)).astype(np.float32)
    y, x = np.indices(image.shape)
    image += 3.0 * (np.hypot(y - 60, x - 60) < 30)
    for cx in (130, 146, 162):
        image += 3.0 * (np.hypot(y - 150, x - cx) < size / 2)
    image += 0.01 * x + 1e-4 * y * y  # a gradient of the ice
    mask = clean_area(image, size, CPU, 1)
    assert mask[60, 60] == 0
    assert mask[60, 60 + 29] == 0
    assert mask[120:, 110:].all()
    assert mask[:, 120:].all()


def test_contamination_in_a_corner_is_masked_to_its_end():
    rng = np.random.default_rng(5)
    image = rng.standard_normal((270, 280)).astype(np.float32)
    y, x = np.indices(image.shape)
    ice = np.hypot(y - 40, x - 215) < 62
    image[ice] = 6
    mask = clean_area(image, 20.0, CPU, 1)
    assert not mask[ice].any()
    assert mask[np.hypot(y - 40, x - 215) > 75].mean() > 0.99


def test_synthetic_background_has_the_spectrum_it_was_given():
    rng = np.random.default_rng(4)
    radius = np.hypot(signed_frequencies(160)[:, None] / 160, np.arange(81) / 160)
    coloured = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((160, 160))) * (1 + 3 * np.exp(-20 * radius)))
    field = prepare_clean(coloured.astype(np.float32), 16.0, CPU)
    empty = find_maxima(field.image, np.zeros(field.shape, bool), 5, 0)
    spectrum = background_spectrum([field], [empty])
    again = prepare_clean(synthetic_background(spectrum, (160, 160), rng), 16.0, CPU)
    same = background_spectrum([again], [empty])
    assert np.abs(same[5:120] / spectrum[5:120] - 1).mean() < 0.15


def test_trials_cover_the_range_and_fit_the_micrograph():
    given_range = trial_diameters(100, 120, 1.0, 5000)
    assert given_range[0] == pytest.approx(70)
    assert given_range[-1] == pytest.approx(174)
    assert (given_range[1:] / given_range[:-1] < 1.21).all()
    assert trial_diameters(None, None, 1.0, 500)[-1] == pytest.approx(200)
    with pytest.raises(InputError, match="too small for particles of 70 A"):
        trial_diameters(100, 120, 1.0, 100)


def test_picks_in_groups_crowd_and_others_do_not():
    """Five picks in a group, and as many anywhere, in a field of 40 diameters squared."""
    noise = np.random.default_rng(0).standard_normal((400, 400), np.float32)
    field = prepare_clean(noise, 10.0, CPU, 1)
    rng = np.random.default_rng(1)
    centres, around = rng.uniform(30, 370, (60, 2)), 2 * np.pi * np.arange(5) / 5
    groups = centres[:, None] + 8 * np.stack([np.sin(around), np.cos(around)], axis=1)

    def crowd(places):
        y, x = places.reshape(-1, 2).round().astype(int).T
        return crowding([Maxima(y, x, np.ones(len(y)))], [field])

    # Of the 299 other picks each has 4 in its group, and of the rest as many as lie within 20 px by chance.
    chance = 299 * np.pi * 20**2 / int(within(field).sum())
    assert crowd(groups) == pytest.approx((4 + chance) / (chance * (1 - 0.75**2 / 4)), rel=0.15)
    assert crowd(rng.uniform(0, 400, (300, 2))) < 1.3
    assert crowd(centres[:2]) == crowd(np.zeros((0, 2))) == 1.0


def test_parts_of_a_large_particle_are_not_taken_for_particles(shared_data):
    """Of the ribosome, sparse and uneven, blobs of 40 Angstrom explain more than the whole does."""
    density = ribosome(shared_data / "maps")
    made = [
        simulate_micrograph((1000, 1000), 2.0, density=density, particles=12, snr=0.15, seed=(3, i))
        for i in range(3)
    ]
    model = learn_model([m.image for m in made[:2]], [2.0] * 2)
    assert model is not None and 130 < model.diameter_angstrom < 260
    picks = pick_adaptive(made[2].image, 2.0, model)
    found = agreement(np.stack([picks.x, picks.y], axis=1), np.stack([made[2].x, made[2].y], axis=1), 31.0)
    assert found.recall > 0.9 and found.precision > 0.9


def ellipses(seed, shape=(500, 520), count=30, axes=(11.0, 6.0), contrast=0.8):
    """Elongated dark particles in any direction: their places are returned."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal(shape).astype(np.float32)
    y, x = np.indices(shape)
    places = []
    while len(places) < count:
        place = rng.uniform(15, np.array(shape) - 15)
        if all(np.hypot(*(place - p)) > 30 for p in places):
            places.append(place)
    for (cy, cx), angle in zip(places, rng.uniform(0, np.pi, count), strict=True):
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        image -= contrast * ((u / axes[0]) ** 2 + (v / axes[1]) ** 2 < 1)
    return image, np.array(places)[:, ::-1]


@pytest.fixture(scope="module")
def learned():
    images = [ellipses(seed)[0] for seed in range(3)]
    return learn_model(images, [4.0] * 3, min_diameter=70, max_diameter=90, threads=2)


def test_particles_are_found_on_new_micrographs(learned):
    assert learned is not None
    assert learned.convincing
    assert any(c.order == 2 for c in learned.components)  # what is elongated
    image, truth = ellipses(10)
    picks = pick_adaptive(image, 4.0, learned)
    found = agreement(np.column_stack([picks.x, picks.y]), truth, 5.0)
    assert found.recall >= 0.9
    assert found.precision >= 0.9
    assert (np.diff(picks.score) <= 0).all()
    assert (np.diff(picks.local_fdr) >= -1e-12).all()
    apart = np.hypot(picks.x[:, None] - picks.x, picks.y[:, None] - picks.y)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() >= 0.75 * learned.diameter_angstrom / 4.0


def test_options_of_picking(learned):
    image, _ = ellipses(10)
    usual = pick_adaptive(image, 4.0, learned)
    strict = pick_adaptive(image, 4.0, learned, max_local_fdr=1e-3)
    assert len(strict) <= len(usual)
    assert (strict.local_fdr <= 1e-3).all()
    far = pick_adaptive(image, 4.0, learned, min_distance=400)
    apart = np.hypot(far.x[:, None] - far.x, far.y[:, None] - far.y)
    np.fill_diagonal(apart, np.inf)
    assert 0 < len(far) < len(usual)
    assert apart.min() >= 100
    inner = pick_adaptive(image, 4.0, learned, skip_side=100)
    assert 0 < len(inner) < len(usual)
    assert inner.x.min() >= 100
    assert inner.y.max() <= image.shape[0] - 1 - 100
    white = pick_adaptive(-image, 4.0, learned)
    assert len(white) < 0.2 * len(usual)


def test_micrographs_of_several_pixel_sizes_share_a_grid(learned):
    """That of the coarsest; a model is of no use for coarser ones, whose pixels its filters do not fit."""
    fine, coarse = ellipses(0)[0], ellipses(1, (250, 260), 20, (5.5, 3.0), 1.6)[0]
    model = learn_model([fine, coarse], [4.0, 8.0], min_diameter=70, max_diameter=90, threads=2)
    assert model is not None and model.grid_angstrom >= 0.99 * 8
    with pytest.raises(InputError, match="pixels of 8 A are larger than those of 5"):
        pick_adaptive(coarse, 8.0, learned)


def test_particles_of_half_the_micrograph_are_learned():
    rng = np.random.default_rng(0)
    y, x = np.indices((130, 140))
    images = [rng.standard_normal(y.shape).astype(np.float32) for _ in range(2)]
    for image in images:
        for cy, cx in ((30, 30), (30, 100), (95, 30), (95, 100)):
            image -= np.hypot(y - cy, x - cx) < 28
    model = learn_model(images, [4.0] * 2, min_diameter=280, max_diameter=330, threads=2)
    assert model is not None and np.isfinite(model.noise)


def test_noise_is_not_convincing():
    rng = np.random.default_rng(8)
    images = [rng.standard_normal((400, 400)).astype(np.float32) for _ in range(2)]
    model = learn_model(images, [4.0] * 2, min_diameter=70, max_diameter=90, threads=2)
    assert model is None or not model.convincing


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((300, 300), np.nan, np.float32), "90000 of the micrograph's 90000 pixels are not finite"),
        (np.ones((300, 300), np.float32), "no contrast"),
        (np.ones((9, 9), np.float32), "too small"),
        (np.ones(30, np.float32), "two-dimensional"),
    ],
)
def test_bad_micrographs_are_refused(learned, image, words):
    with pytest.raises(InputError, match=words):
        pick_adaptive(image, 4.0, learned)
