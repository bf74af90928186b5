"""A developer of a method: own kernels and an own picker, in a script that mypy accepts."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

import boxwood
from boxwood.backends import Backend, get_backend
from boxwood.errors import InputError
from boxwood.picking.agreement import agreement

PIXEL = 4.0
SIZE = {"min_diameter": 150, "max_diameter": 180, "threshold_offset": 2.0}

SCRIPT = """
from typing import Any

import boxwood
from boxwood.backends import Backend, get_backend

kernels: Backend = get_backend("cpu")


class Mine:
    name = "mine"

    def __getattr__(self, kernel: str) -> Any:
        return getattr(kernels, kernel)

    def expectation(self, *arguments: Any) -> dict[str, Any]:
        return kernels.expectation(*arguments)


views = boxwood.simulate_particles(60, box_px=32, pixel_size_angstrom=6.0, classes=3, snr=0.5, seed=1)
for result in boxwood.classify2d(views.images, views.ctf_rows, pixel_size_angstrom=6.0, backend=Mine()):
    reveal_type(result.model.references)
    reveal_type(result.posterior)
"""


class Changed:
    """The compiled kernels, but for those of subclasses."""

    name = "changed"
    kernels = get_backend("cpu")

    def __getattr__(self, kernel):
        return getattr(self.kernels, kernel)


@pytest.fixture(scope="module")
def micrograph():
    return boxwood.simulate_micrograph((768, 768), PIXEL, particles=40, snr=0.5, seed=4)


@pytest.fixture(scope="module")
def views():
    return boxwood.simulate_particles(
        90, box_px=40, pixel_size_angstrom=PIXEL + 1, classes=3, snr=0.5, seed=1
    )


def classified(views, **settings):
    settings = {"classes": 3, "iterations": 4, "mask_diameter_angstrom": 150.0, **settings}
    *_, result = boxwood.classify2d(views.images, views.ctf_rows, pixel_size_angstrom=PIXEL + 1, **settings)
    return result


def test_an_own_picker_is_scored_against_the_truth(micrograph):
    """A difference of Gaussians, in three lines of SciPy, beside ours; the truth is the simulation's."""
    narrow, wide = (ndimage.gaussian_filter(-micrograph.image, 165 / PIXEL / n) for n in (4, 2))
    blobs = narrow - wide
    peaks = (ndimage.maximum_filter(blobs, 20) == blobs) & (blobs > blobs.mean() + 2.5 * blobs.std())
    truth = np.stack([micrograph.x, micrograph.y], axis=1)
    mine = agreement(np.argwhere(peaks)[:, ::-1], truth, 60 / PIXEL)
    picks = boxwood.pick_log(micrograph.image, PIXEL, **SIZE, return_fom_maps=True)
    ours = agreement(np.stack([picks.x, picks.y], axis=1), truth, 60 / PIXEL)
    assert mine.particles == ours.particles == len(truth)
    assert ours.f1 > 0.8 and mine.f1 > 0.5
    best = picks.fom_maps.best  # on a coarser grid, from which the figures of merit of picks are
    assert best.max() >= picks.fom.max() > np.median(best)


def test_an_own_expectation_learns_what_the_posterior_says(views):
    """All weight on the best pose; seen are references, assignments and the posterior."""
    calls = []

    class Hard(Changed):
        def expectation(self, *arguments):
            names = list(inspect.signature(Backend.expectation).parameters)[1:]
            given = dict(zip(names, arguments, strict=True)) | {"hard": True}
            calls.append(given["references"].shape)
            return self.kernels.expectation(*given.values())

    soft, hard = classified(views, save_posterior=5), classified(views, backend=Hard(), save_posterior=5)
    assert calls and hard.entropy < soft.entropy
    assert soft.model.references.shape == soft.class_averages.shape == (3, 40, 40)
    weights = soft.posterior.weight
    assert weights.shape == (90, 5) and (np.diff(weights) <= 0).all()
    assert {shape[0] for shape in calls} == {3}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: {**found, "numerator": found["numerator"][:1]}, r"changed has \(1, .* numerator; exp"),
        (lambda found: {name: found[name] for name in found if name != "cross"}, "changed gives no cross"),
    ],
)
def test_what_an_own_expectation_gets_wrong_is_said(views, change, said):
    class Wrong(Changed):
        def expectation(self, *arguments):
            return change(self.kernels.expectation(*arguments))

    with pytest.raises(InputError, match=said):
        classified(views, backend=Wrong())


@pytest.mark.parametrize(("setting", "value"), [("save_posterior", True), ("classes", 2.5), ("cut", "3")])
def test_settings_of_another_type_are_named(views, setting, value):
    with pytest.raises(InputError, match=f"{setting} is .*{value}.*; it must be a (whole )?number"):
        classified(views, **{setting: value})


def test_editors_know_types_and_help(tmp_path):
    pytest.importorskip("mypy", reason="needs pip install '.[lint]'")
    (tmp_path / "mine.py").write_text(SCRIPT)
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "mine.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "ndarray" in done.stdout and "Posterior | None" in done.stdout
    for function in (boxwood.pick_log, boxwood.classify2d, boxwood.extract_particles, Backend.expectation):
        text = inspect.getdoc(function)
        assert text and "Parameters\n" in text
        for name in set(inspect.signature(function).parameters) - {"self"}:
            assert name in text, f"{function.__name__} does not explain {name}"
