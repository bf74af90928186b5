"""Mini-batches: the views are found, classes live, sums follow their averages, and going on is exact."""

from dataclasses import replace

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.class2d import Class2DParameters, classify2d
from boxwood.class2d.maximisation import Prior, centring_shifts, reconstruct, wiener
from boxwood.class2d.minibatch import MiniBatches, centre, follow, rescale
from boxwood.class2d.model import Model
from boxwood.class2d.statistics import Statistics
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid
from boxwood.simulate import SimulatedSource

BOX, PIXEL, CLASSES = 32, 7.0, 6
SMALL = Class2DParameters(
    classes=CLASSES,
    algorithm="vdam",
    mini_batches=40,
    batch_size=60,
    mask_diameter_angstrom=190,
    psi_step_deg=12,
    offset_range_px=3,
)
RINGS = 12
GRID = PolarGrid(BOX, 13.0, 3.0, BOX // 2 - 1)
MASK = soft_circle((BOX, BOX), 10, 5).astype(np.float32)


@pytest.fixture(scope="module")
def source():
    return SimulatedSource(600, BOX, PIXEL, classes=3, snr=0.3, max_offset_px=1.5, seed=2)


def classify(source, **settings):
    return classify2d(
        source, source.ctf_rows, pixel_size_angstrom=PIXEL, parameters=replace(SMALL, **settings), threads=2
    )


@pytest.fixture(scope="module")
def results(source):
    return list(classify(source))


def test_views_are_found_and_every_particle_has_a_class(source, results):
    found = results[-1].assignments.class_index
    assert len(results) == SMALL.last_iteration + 1 == 41
    assert (results[5].assignments.class_index < 0).any()
    assert (found >= 0).all()
    pure = sum(np.bincount(source.class_index[found == k]).max(initial=0) for k in range(CLASSES))
    assert pure > 0.9 * len(source)


def test_no_class_dies(results):
    assert (results[-1].model.shares > 0.1 / CLASSES).all()
    assert any(r.model.refilled for r in results)


def test_going_on_is_the_same_as_not_stopping(source, results):
    rest = list(
        classify2d(
            source, source.ctf_rows, pixel_size_angstrom=PIXEL, parameters=SMALL, threads=1, start=results[20]
        )
    )
    assert [r.iteration for r in rest] == list(range(21, 41))
    for name in ("references", "sigma2", "norm"):
        assert getattr(rest[-1].model, name).tobytes() == getattr(results[-1].model, name).tobytes()
    assert rest[-1].assignments.psi_deg.tobytes() == results[-1].assignments.psi_deg.tobytes()


def test_what_is_remembered_grows_to_the_memory(results):
    """sum of 60 fade^j with fade = 1 - 60/600 tends to 600; the last pass has the whole set instead."""
    counts = np.array([r.sums.count for r in results[1:]])
    np.testing.assert_allclose(counts[:-1], 600 * (1 - 0.9 ** np.arange(1, 40)), rtol=1e-9)
    assert counts[-1] == 600


@pytest.mark.parametrize("change", [{"recipe": "plain"}, {"align": False}, {"zero_mask": False}])
def test_other_settings_run(source, change):
    last = list(classify(source, mini_batches=6, **change))[-1]
    assert np.isfinite(last.model.references).all()
    assert (last.assignments.class_index >= 0).all()


def test_grey_scales_of_micrographs_are_found_from_batches_with_few_of_each(source):
    """A wrong grey scale must be corrected once, though sums remember it."""
    strength = np.where(np.arange(600) % 20 < 10, 0.7, 1.3)

    class Scaled:
        def __len__(self):
            return len(source)

        def read(self, indices):
            return source.read(indices) * strength[indices, None, None].astype(np.float32)

    results = list(
        classify2d(
            Scaled(),
            source.ctf_rows,
            pixel_size_angstrom=PIXEL,
            parameters=replace(SMALL, norm_correction=False),
            micrographs=np.arange(600) % 20,
            threads=2,
        )
    )
    # 30 particles of a signal-to-noise ratio of 0.3 leave some 10 % of error in each of ten.
    for result in results[12:]:
        low, high = result.model.scale[:10], result.model.scale[10:]
        assert low.mean() == pytest.approx(0.7, rel=0.1) and high.mean() == pytest.approx(1.3, rel=0.1)


def some_sums(k=3, seed=1):
    """Sums whose averages are known: smooth images, off-centre, of classes with 40 particles each."""
    rng = np.random.default_rng(seed)
    axis = np.arange(BOX) - BOX // 2
    images = np.stack(
        [
            np.exp(-((axis[:, None] - y) ** 2 + (axis[None] - x) ** 2) / 18.0)
            for x, y in rng.uniform(-3, 3, (k, 2))
        ]
    ).astype(np.float32)
    backend = get_backend("cpu")
    samples, _ = backend.polar_transform(images, None, np.ones_like(images[0]), GRID.positions, 1)
    ring, _ = GRID.packed_order(RINGS)
    weight = np.linspace(50.0, 5.0, RINGS)
    denominator = np.zeros((k, RINGS, 3), dtype=complex)
    denominator[:, :, 0] = weight
    numerator = GRID.harmonics(samples, RINGS) * weight[ring]
    ones, mass = np.ones(1), np.full(k, 40.0)
    sums = Statistics(
        numerator=numerator,
        denominator=denominator,
        class_mass=mass,
        class_square=mass,
        class_entropy=np.zeros(k),
        residual=np.ones((1, GRID.rings)),
        group_count=ones,
        offset_square=1.0,
        signal_image=ones,
        signal_model=ones,
        count=120.0,
        log_likelihood=0.0,
        largest=0.0,
        entropy=0.0,
    )
    model = Model(
        references=averages(sums),
        shares=np.full(k, 1 / k),
        sigma2=np.ones((1, GRID.rings)),
        tau2=np.full((k, GRID.rings), 1e12),
        ssnr=np.ones((k, GRID.rings)),
        sigma_offset_px=1.0,
        limit=RINGS - 1,
        norm=np.ones(120),
        mean_norm=1.0,
        scale=np.ones(1),
    )
    return model, sums


def averages(sums):
    """Averages without a prior."""
    samples, _, _ = wiener(sums, np.full((3, GRID.rings), 1e12), GRID, Prior(1.0, per_class=True))
    return reconstruct(samples, GRID, MASK, get_backend("cpu"), 1)


def test_centred_averages_are_those_of_their_sums():
    model, sums = some_sums()
    shifts = np.hypot(*centring_shifts(model.references, 5.0).T)
    assert (shifts > 1.5).any()
    centred, moved = centre(model, sums, GRID, MASK, 5.0)
    assert (np.hypot(*centring_shifts(centred.references, 5.0).T) < 1).all()
    error = np.linalg.norm(averages(moved) - centred.references) / np.linalg.norm(centred.references)
    # The mask came before one shift and after the other.
    assert error < 0.05
    again, same = centre(centred, moved, GRID, MASK, 5.0)
    assert again is centred and same is moved


def test_sums_follow_exchanged_averages():
    model, sums = some_sums()
    references = model.references.copy()
    references[2] = 0.5 * references[0]
    after = replace(model, references=references, shares=np.array([0.25, 0.5, 0.25]))
    new = follow(sums, model, after, GRID, get_backend("cpu"), 1)
    np.testing.assert_array_equal(new.numerator[:2], sums.numerator[:2])
    assert new.class_mass[2] == pytest.approx(0.25 * 120)
    found = averages(new)[2]
    # Outside of the mask and beyond the rings in use an image is not what it was.
    assert np.linalg.norm(found - references[2]) < 0.05 * np.linalg.norm(references[2])
    assert follow(sums, model, model, GRID, get_backend("cpu"), 1) is sums


def test_a_class_without_particles_leaves_the_common_prior_alone():
    """Its posterior may have some mass and yet nothing that was summed."""
    _, sums = some_sums()
    mass, denominator = sums.class_mass.copy(), sums.denominator.copy()
    mass[2], denominator[2] = 1e-5, 0.0
    empty = replace(sums, class_mass=mass, denominator=denominator)
    two = replace(
        sums, class_mass=mass[:2], denominator=denominator[:2], numerator=sums.numerator[:2], count=80.0
    )
    unused, prior = np.zeros((3, GRID.rings)), Prior(1.0, per_class=False)
    (_, tau2, _), (_, expected, _) = (wiener(s, unused, GRID, prior) for s in (empty, two))
    assert expected.any()
    np.testing.assert_allclose(tau2[:2], expected, rtol=1e-9)


def test_more_and_fewer_rings():
    _, sums = some_sums()
    batches = MiniBatches(0, 10, 12, False, 120, 120)
    wide = replace(
        sums,
        denominator=np.zeros((3, RINGS + 3, 3), dtype=complex),
        numerator=np.zeros((3, GRID.coefficients(RINGS + 3)), dtype=complex),
    )
    grown = batches.sums(2, sums, replace(wide, count=12.0), GRID, 1000)
    assert grown.denominator.shape == (3, RINGS + 3, 3)
    np.testing.assert_allclose(
        GRID.from_harmonics(grown.numerator, RINGS + 3)[:, : GRID.samples(RINGS)],
        0.9 * GRID.from_harmonics(sums.numerator, RINGS),
        atol=1e-9,
    )
    shrunk = batches.sums(3, grown, replace(sums.scaled(0.0), count=12.0), GRID, 1000)
    np.testing.assert_allclose(shrunk.numerator, 0.81 * sums.numerator, atol=1e-9)
    assert batches.sums(10, sums, wide, GRID, 1000) is wide


def test_a_new_grey_scale_leaves_nothing_to_correct():
    model, sums = some_sums()
    sums = replace(sums, signal_image=np.array([12.0]), signal_model=np.array([10.0]))
    new = rescale(sums, model, replace(model, scale=np.array([1.2])))
    np.testing.assert_allclose(new.signal_image, new.signal_model)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"algorithm": "sgd"}, "algorithm 'sgd' is unknown; choose em or vdam"),
        ({"mini_batches": 0}, "mini_batches is 0; it must be greater than 0"),
        ({"batch_size": 5}, "batch_size is 5; it must be at least the 6 classes"),
        ({"fast_subsets": True}, "fast_subsets is for algorithm em"),
        ({"until_converged": True}, "until_converged is for algorithm em"),
    ],
)
def test_wrong_settings_are_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(SMALL, **arguments)


def test_default_sizes_follow_the_classes():
    assert MiniBatches.of(Class2DParameters(classes=100)) == MiniBatches(0, 200, 2500, True, 10000, 200_000)
    assert MiniBatches.of(Class2DParameters(classes=3)).size == 200


def test_mini_batches_and_memory_grow_until_the_last_takes_everything():
    batches = MiniBatches.of(Class2DParameters(classes=50))
    memory = np.array([batches.memory_at(i, 80_000) for i in range(1, 200)])
    sizes = np.array([batches.size_at(i, 80_000) for i in range(1, 201)])
    assert (memory[:60] == 5000).all() and (memory[160:] == 80_000).all()
    assert (sizes[:60] == 1250).all() and sizes[198] == 8000 and sizes[199] == 80_000
    # Even factors: the logarithm grows by the same step.
    np.testing.assert_allclose(np.diff(np.log(memory[60:159])), np.log(16) / 100, atol=1e-3)
    assert batches.memory_at(199, 10**7) == 100_000
    # A size that was asked for stays, and nothing is larger than the set.
    fixed = MiniBatches.of(Class2DParameters(classes=50, batch_size=700))
    assert {fixed.size_at(i, 80_000) for i in range(1, 200)} == {700}
    assert batches.size_at(1, 300) == batches.memory_at(1, 300) == 300
