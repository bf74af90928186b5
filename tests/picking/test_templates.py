"""The matched filter: what is known of the micrographs is found again."""

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.errors import InputError
from boxwood.picking.adaptive.preparation import prepare_clean
from boxwood.picking.templates import MatchedModel, learn_matched, pick_matched, prepare_references
from boxwood.picking.templates.harmonics import HarmonicTemplates
from boxwood.picking.templates.whitened import whitened_scores
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.micrographs import simulate_micrograph
from boxwood.simulate.rotations import rotation_matrices

PIXEL = 3.54
VIEWS = np.array([[20, 80, 0], [75, 40, 10], [40, 15, 0]], float)


@pytest.fixture(scope="module")
def images():
    return beta_galactosidase().project(rotation_matrices(VIEWS), 64, PIXEL)


@pytest.fixture(scope="module")
def micrograph():
    """Particles in the views of the references, and at any angle in the plane."""
    angles = np.tile(VIEWS, (6, 1))
    angles[:, 2] = np.random.default_rng(3).uniform(0, 360, len(angles))
    return simulate_micrograph((560, 640), PIXEL, particles=18, angles_deg=angles, snr=0.5, seed=5)


@pytest.fixture(scope="module")
def model(images, micrograph):
    return learn_matched([micrograph.image], [PIXEL], [micrograph.ctf_row], images, PIXEL)


def test_centres_and_views(micrograph, model):
    """Centres lie between the pixels of a grid of two micrograph pixels; views are the particles'."""
    picks = pick_matched(micrograph.image, PIXEL, model, micrograph.ctf_row)
    distance = np.hypot(picks.x[:, None] - micrograph.x, picks.y[:, None] - micrograph.y)
    nearest, near = distance.argmin(axis=1), distance.min(axis=1)
    assert len(picks) == 18 and len(set(nearest)) == 18
    assert np.median(near) < 0.7 and near.max() < 2.5
    assert np.mean(picks.template == nearest % 3) > 0.9


def test_noise_scores_one(images):
    """At any one place, template and angle the score of noise has the standard deviation 1."""
    backend, rng = get_backend("cpu"), np.random.default_rng(0)
    templates = HarmonicTemplates.of(
        images[:1], PIXEL, 7.0, mask_diameter=170, lowpass=20, angular_sampling=360, backend=backend
    )
    field = prepare_clean(rng.standard_normal((240, 200)).astype(np.float32), 20.0, backend)
    scores = whitened_scores(field, templates, np.ones(182), None, backend).best
    assert np.std(scores) == pytest.approx(1.0, abs=0.1)


def test_other_references_are_refused(model, images):
    with pytest.raises(InputError, match="learn anew"):
        MatchedModel.of(model, images, 2 * PIXEL)


def broken(images, how):
    images = images.copy()
    if how == "oblong":
        return images[:, :50]
    images[1] = {"nan": np.nan, "empty": 0.5}[how]
    return images


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("oblong", "shape \\(3, 50, 64\\), expected"),
        ("nan", "reference 2 has pixels that are not finite"),
        ("empty", "reference 2 is empty"),
    ],
)
def test_what_is_no_reference_is_refused(micrograph, images, how, words):
    with pytest.raises(InputError, match=words):
        learn_matched([micrograph.image], [PIXEL], [None], broken(images, how), PIXEL)
    with pytest.raises(InputError, match=words):
        prepare_references(broken(images, how), PIXEL, PIXEL, mask_diameter=150)


def test_micrographs_too_small_to_learn_from_are_refused(micrograph, images):
    for side, words in ((30, "too small for particles of 149 A"), (44, "hardly a place for particles")):
        with pytest.raises(InputError, match=words):
            learn_matched([micrograph.image[:side, :side]], [PIXEL], [None], images, PIXEL)


def test_pixels_larger_than_those_learned_with_are_refused(micrograph, model):
    with pytest.raises(InputError, match="larger than those of 7"):
        pick_matched(micrograph.image, 10.0, model, micrograph.ctf_row)
