"""Whole classifications of small simulated sets, whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.class2d import Class2DParameters, Classification, OpticsGroup, classify2d
from boxwood.class2d.assignments import Assignments
from boxwood.class2d.expectation import Search, expectation
from boxwood.class2d.maximisation import Prior, wiener
from boxwood.class2d.refill import LARGE, WEAK, refill
from boxwood.class2d.source import ArraySource
from boxwood.errors import InputError
from boxwood.execution import Threads
from boxwood.imaging.masks import soft_circle

BOX = 32
PIXEL = 4.0
SMALL = Class2DParameters(
    classes=6, iterations=12, mask_diameter_angstrom=76, psi_step_deg=12, offset_range_px=3
)


def views(rng, n):
    """Random objects of 12 px radius with detail, unlike each other."""
    f = np.fft.fftfreq(BOX)
    envelope = np.exp(-((f[:, None] ** 2 + f[None, :] ** 2) * 6.0**2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, BOX, BOX))) * envelope).real
    objects = np.maximum(noise / noise.std(axis=(1, 2), keepdims=True) + 0.5, 0)
    return objects * soft_circle((BOX, BOX), 8, 4)


def simulate(seed, n=300, true_classes=3, snr=0.3):
    """Images (n, BOX, BOX), CTF rows and truth: class, angle in degrees, offset in pixels (x, y)."""
    rng = np.random.default_rng(seed)
    objects = views(rng, true_classes)
    objects /= objects.std()
    kind = rng.integers(0, true_classes, n)
    psi, offset = rng.uniform(0, 360, n), rng.integers(-2, 3, (n, 2))
    rows = np.column_stack([np.tile([0, 0, 0, 0, 300, 2.7, 0.1, 0, 1.0], (n, 1))])
    rows[:, 0] = rng.uniform(8e3, 2e4, n)
    rows[:, 1] = rows[:, 0] - 300
    f = np.fft.fftfreq(BOX)
    lattice = np.stack(np.meshgrid(f, f, indexing="xy"), axis=-1).reshape(-1, 2)
    ctf = get_backend("reference").ctf(rows, lattice / PIXEL, 0, 1).reshape(n, BOX, BOX)
    axis = np.arange(BOX) - BOX // 2
    images = np.empty((n, BOX, BOX), np.float32)
    for i in range(n):
        # image(x) = object(turned x - offset), sampled exactly through its Fourier transform.
        c, s = np.cos(np.deg2rad(psi[i])), np.sin(np.deg2rad(psi[i]))
        turned = lattice @ np.array([[c, s], [-s, c]])
        ex = np.exp(-2j * np.pi * np.outer(turned[:, 0], axis))
        ey = np.exp(-2j * np.pi * np.outer(turned[:, 1], axis))
        spectrum = ((ey @ objects[kind[i]]) * ex).sum(axis=1)
        spectrum *= np.exp(2j * np.pi * (lattice @ offset[i])) * ctf[i].ravel()
        spectrum *= np.exp(-2j * np.pi * (lattice @ [BOX // 2, BOX // 2]))
        images[i] = np.fft.ifft2(spectrum.reshape(BOX, BOX)).real
    images *= np.sqrt(snr) / images.std()
    images += rng.standard_normal(images.shape, dtype=np.float32)
    return images, rows, kind, psi, offset


@pytest.fixture(scope="module")
def data():
    return simulate(1)


@pytest.fixture(scope="module")
def results(data):
    return list(classify2d(data[0], data[1], pixel_size_angstrom=PIXEL, parameters=SMALL, threads=2))


def purity(found, truth):
    """Share of particles whose class's majority is their own kind."""
    return sum(np.bincount(truth[found == k]).max(initial=0) for k in set(found)) / len(truth)


def test_true_classes_are_found(data, results):
    kind = data[2]
    last = results[-1]
    assert len(results) == SMALL.iterations + 1
    assert purity(last.assignments.class_index, kind) > 0.9
    assert {int(np.bincount(kind[last.assignments.class_index == k]).argmax()) for k in range(6)} == {0, 1, 2}


def test_no_class_is_left_to_die(results):
    assert (results[-1].model.shares > 0.1 / SMALL.classes).all()
    assert results[-1].model.effective_classes > 4


def test_offsets_and_angles_are_those_of_the_truth(data, results):
    """Up to one common angle and offset per class, which a class average is free to choose."""
    _, _, kind, psi, offset = data
    a = results[-1].assignments
    for k in range(SMALL.classes):
        members = np.flatnonzero(a.class_index == k)
        members = members[kind[members] == np.bincount(kind[members]).argmax()]
        turn = np.exp(1j * np.deg2rad(a.psi_deg[members] - psi[members]))
        common = turn.mean() / abs(turn.mean())
        assert np.median(np.abs(np.rad2deg(np.angle(turn / common)))) < 12
        angle = np.deg2rad(psi[members])
        # In the frame of the class the remaining offset is the same for all.
        x, y = (a.offset_px[members] - offset[members]).T
        rest = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], 1)
        assert np.median(np.hypot(*(rest - np.median(rest, axis=0)).T)) < 1.5


def test_the_search_follows_particles_beyond_its_range(data):
    """Centres 3 to 7 px off: farther than the range of 3 px around the box centre."""
    images, rows, kind, _, offset = data
    moved = np.roll(images, 5, axis=2)
    *_, last = classify2d(moved, rows, pixel_size_angstrom=PIXEL, parameters=SMALL, threads=2)
    found = last.assignments.offset_px
    expected = offset - [5, 0]
    assert purity(last.assignments.class_index, kind) > 0.85
    assert np.median(np.hypot(*(found - expected).T)) < 2


def test_threads_do_not_matter(data, results):
    other = list(
        classify2d(
            data[0], data[1], pixel_size_angstrom=PIXEL, parameters=replace(SMALL, iterations=3), threads=3
        )
    )
    again = list(
        classify2d(
            data[0], data[1], pixel_size_angstrom=PIXEL, parameters=replace(SMALL, iterations=3), threads=1
        )
    )
    assert other[-1].model.references.tobytes() == again[-1].model.references.tobytes()
    assert other[-1].assignments.psi_deg.tobytes() == again[-1].assignments.psi_deg.tobytes()


def test_going_on_is_the_same_as_not_stopping(data, results):
    rest = list(
        classify2d(data[0], data[1], pixel_size_angstrom=PIXEL, parameters=SMALL, threads=2, start=results[9])
    )
    assert [r.iteration for r in rest] == [10, 11, 12]
    assert rest[-1].model.references.tobytes() == results[-1].model.references.tobytes()


class Counting(ArraySource):
    """Counts the images it is asked for."""

    asked = 0

    def read(self, indices):
        type(self).asked += len(indices)
        return super().read(indices)


def test_memory_setting_decides_what_is_read_again_and_changes_nothing_else(data):
    def run(memory_gib):
        Counting.asked = 0
        parameters = replace(SMALL, iterations=3, memory_gib=memory_gib)
        source = Counting(data[0])
        last = list(classify2d(source, data[1], pixel_size_angstrom=PIXEL, parameters=parameters, threads=2))[
            -1
        ]
        return Counting.asked, last.model.references.tobytes(), last.assignments.log_likelihood.tobytes()

    all_kept, some, none = run(1.0), run(3e-4), run(1e-9)
    assert all_kept[0] < some[0] < none[0]
    assert none[0] >= 4 * len(data[0])  # the initial model and three iterations
    assert all_kept[1:] == some[1:] == none[1:]


def test_bad_particles_are_named_and_change_nothing_else(data):
    images = data[0].copy()
    images[7, 3, 4] = np.nan
    images[9] = 1.0
    images[11, 0, 0] = np.inf
    images[13, 5, 5] = 1e9
    parameters = replace(SMALL, iterations=2)
    last = list(classify2d(images, data[1], pixel_size_angstrom=PIXEL, parameters=parameters, threads=2))[-1]
    assert last.bad == (7, 9, 11, 13)
    assert (last.assignments.class_index[[7, 9, 11, 13]] == -1).all()
    assert np.isfinite(last.model.references).all()


def test_known_poses_are_kept_without_alignment(data):
    images, rows, kind, psi, offset = data
    parameters = replace(SMALL, classes=3, iterations=10, align=False)
    last = list(
        classify2d(
            images,
            rows,
            pixel_size_angstrom=PIXEL,
            parameters=parameters,
            psi_deg=psi,
            offset_px=offset.astype(float),
            threads=2,
        )
    )[-1]
    assert (last.assignments.psi_deg == psi).all()
    assert (last.assignments.offset_px == offset).all()
    assert purity(last.assignments.class_index, kind) > 0.95


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "plain"},
        {"zero_mask": False},
        {"fast_subsets": True, "classes": 2},
        {"offset_prior": "relion"},
        {"limit_resolution_angstrom": 20.0},
        {"norm_correction": False, "scale_correction": False, "center_classes": False},
    ],
)
def test_other_settings_run_and_find_classes(data, change):
    parameters = replace(SMALL, iterations=8, **change)
    micrographs = np.arange(len(data[0])) % 4
    last = list(
        classify2d(
            data[0],
            data[1],
            pixel_size_angstrom=PIXEL,
            parameters=parameters,
            micrographs=micrographs,
            threads=2,
        )
    )[-1]
    assert np.isfinite(last.model.references).all()
    assert purity(last.assignments.class_index, data[2]) > 0.5
    if "limit_resolution_angstrom" in change:
        assert last.model.limit <= round(BOX * PIXEL / 20.0)


def test_objective_never_decreases(data):
    """Expectation-maximisation with fixed noise, prior, shares and sampling climbs (Dempster et al. 1977)."""
    parameters = replace(SMALL, classes=4)
    n = len(data[0])
    run = Classification(
        ArraySource(data[0]), data[1], [OpticsGroup(BOX, PIXEL)], None, parameters, 0, None, None, None,
        np.zeros(n), np.zeros((n, 2)), get_backend("cpu"), Threads(2),
    )  # fmt: skip
    model = run.begin().model
    rings = model.limit + 1
    prior = Prior(1.0, per_class=True)
    tau2 = np.full((4, run.grid.rings), 0.05 * model.sigma2[0])
    search = Search(run.begin().sampling, hard=False, cut=1e9, fraction=1.0)
    area = 2 * np.pi * np.arange(1, rings + 1)
    objective = []
    samples = None
    for _ in range(6):
        even, odd = expectation(
            model, run.particles, run.good, search, Assignments.empty(n), np.ones(n), run.executor,
            lambda done, total: None,
        )  # fmt: skip
        statistics = even + odd
        if samples is not None:
            power = run.grid.ring_mean(np.abs(samples) ** 2, rings)
            # Rings below the first regularised one have no prior.
            penalty = 0.5 * (area * power / tau2[:, :rings])[:, 4:].sum()
            objective.append(statistics.log_likelihood - penalty)
        samples, _, _ = wiener(statistics, tau2, run.grid, prior)
        # Back to images without a mask, so that nothing but the maximisation moves the references.
        area_samples = np.repeat(area / run.grid.ring_samples[:rings], run.grid.ring_samples[:rings] // 2)
        images = run.backend.polar_adjoint(
            (samples * 2 * area_samples / BOX**2).astype(np.complex64),
            run.grid.positions[: samples.shape[1]],
            BOX,
            2,
        )
        model = replace(model, references=images)
    # Images of the polar samples are not exactly invertible: allow for a thousandth of the climb.
    climb = objective[-1] - objective[0]
    assert climb > 0
    assert (np.diff(objective) > -1e-3 * climb).all()


def test_refill_takes_from_the_largest():
    rng = np.random.default_rng(3)
    references = rng.standard_normal((4, BOX, BOX)).astype(np.float32)
    shares = np.array([0.70, 0.25, 0.03, 0.02])
    run = list(
        classify2d(
            rng.standard_normal((8, BOX, BOX)).astype(np.float32),
            pixel_size_angstrom=PIXEL,
            parameters=replace(SMALL, classes=4, iterations=1),
            threads=1,
        )
    )
    model = replace(run[0].model, references=references, shares=shares)
    mask = soft_circle((BOX, BOX), 8, 5)
    new = refill(model, mask, np.random.default_rng(1))
    assert new.refilled == 2
    assert new.shares.sum() == pytest.approx(1)
    assert new.shares.min() >= WEAK / 4 / 2
    assert new.shares.max() < LARGE / 4 * 1.01 or new.refilled == (shares < WEAK / 4).sum()
    assert not np.array_equal(new.references[2], references[2])
    # What the two halves have in common is the class they come from.
    assert np.allclose((new.references[2] + new.references[0]) / 2, references[0], atol=1.0)
    assert refill(replace(model, shares=np.full(4, 0.25)), mask, rng).refilled == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"classes": 0}, "classes is 0; it must be greater than 0"),
        ({"psi_step_deg": 40.0}, "psi_step_deg is 40.0; it must be at most 36"),
        ({"recipe": "magic"}, "recipe 'magic' is unknown"),
        ({"offset_prior": "?"}, "offset_prior '\\?' is unknown"),
        ({"precision": "half"}, "precision 'half' is unknown"),
        ({"offset_range_px": -1.0}, "offset_range_px is -1.0"),
    ],
)
def test_wrong_parameters_are_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Class2DParameters(**arguments)


def test_bf16_is_refused_without_instructions_for_it(data, monkeypatch):
    monkeypatch.setattr("boxwood.class2d.classification.native_bf16", lambda: False)
    with pytest.raises(InputError, match=r"precision bf16 needs instructions .* use float32"):
        next(classify2d(data[0], pixel_size_angstrom=PIXEL, parameters=replace(SMALL, precision="bf16")))
    # The same arithmetic without these instructions.
    monkeypatch.setattr("boxwood.class2d.classification.native_bf16", lambda: True)
    last = [
        list(
            classify2d(
                data[0], data[1], pixel_size_angstrom=PIXEL, parameters=replace(SMALL, iterations=5, **p)
            )
        )[-1]
        for p in ({}, {"precision": "bf16"})
    ]
    assert (last[0].assignments.log_likelihood != last[1].assignments.log_likelihood).any()
    assert purity(last[1].assignments.class_index, data[2]) > 0.5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mask_diameter_angstrom": 1.0}, "has less than 4 pixels"),
        ({"offset_range_px": 40.0}, f"lead out of a box of {BOX} px"),
        ({"limit_low_resolution_angstrom": PIXEL}, "nothing is left beyond"),
        ({"initial_resolution_angstrom": PIXEL}, "first averages cannot be low-passed to"),
        ({"limit_resolution_angstrom": 2000.0}, "a limit of 2000 Å leaves nothing"),
        ({"align": False, "skip_rotate": True}, "without alignment no angles or offsets are searched"),
    ],
)
def test_what_these_images_cannot_give_is_refused(data, change, sentence):
    with pytest.raises(InputError, match=sentence):
        next(classify2d(data[0], pixel_size_angstrom=PIXEL, parameters=replace(SMALL, **change)))


@pytest.mark.parametrize("zero_mask", [True, False])
def test_the_mask_is_around_the_known_place_of_a_particle(data, zero_mask):
    """Moving images and telling so changes nothing but what the box cuts off."""
    images, n = data[0].copy(), len(data[0])
    images[:, :4] = images[:, -4:] = images[:, :, :4] = images[:, :, -4:] = 0
    moves = np.random.default_rng(0).integers(-3, 4, (n, 2))
    moved = np.stack([np.roll(im, (dy, dx), axis=(0, 1)) for im, (dx, dy) in zip(images, moves, strict=True)])
    parameters = replace(
        SMALL, classes=2, iterations=3, align=False, zero_mask=zero_mask, mask_diameter_angstrom=70.0
    )
    still, told = (
        list(classify2d(x, pixel_size_angstrom=PIXEL, parameters=parameters, offset_px=-offset))[-1]
        for x, offset in ((images, 0.0 * moves), (moved, 1.0 * moves))
    )
    np.testing.assert_array_equal(told.assignments.offset_px, -moves)
    same = still.assignments.class_index == told.assignments.class_index
    assert same.mean() > (0.99 if zero_mask else 0.9)  # each place has its own noise outside of the mask
    if zero_mask:
        size = np.abs(still.class_averages).max()
        assert np.abs(still.class_averages - told.class_averages).max() < 0.02 * size


def test_too_few_particles_are_refused(data):
    with pytest.raises(InputError, match="3 usable particles are too few for 6 classes"):
        next(classify2d(data[0][:3], pixel_size_angstrom=PIXEL, parameters=SMALL))
    with pytest.raises(InputError, match="there are no particles"):
        next(classify2d(data[0][:0], pixel_size_angstrom=PIXEL, parameters=SMALL))
    with pytest.raises(InputError, match="ctf_rows has shape"):
        next(classify2d(data[0], data[1][:4], pixel_size_angstrom=PIXEL, parameters=SMALL))


def test_settings_may_be_given_one_by_one(data):
    first = next(classify2d(data[0], pixel_size_angstrom=PIXEL, parameters=SMALL, classes=2, iterations=1))
    assert first.model.references.shape == (2, BOX, BOX)
    with pytest.raises(InputError, match="classify2d has no setting 'klasses'; there are classes, iter"):
        next(classify2d(data[0], pixel_size_angstrom=PIXEL, klasses=3))
