"""Several devices, devices that fail, and the choice among backends."""

import importlib.util

import numpy as np
import pytest

from boxwood.backends import cpu, cuda, get_backend, get_worker_backend, select, trial
from boxwood.backends.devices import CudaBackend
from boxwood.class2d import classify2d
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
from boxwood.stopping import ask_to_stop

BOX, PIXEL = 24, 4.0
IMAGE, POSITION = np.ones((1, 8, 8), np.float32), np.full((1, 2), 0.5, np.float32)


@pytest.fixture(scope="module")
def particles():
    """Three shapes, turned and noisy."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    shapes = [
        np.exp(-((x / 2.0) ** 2 + (y / 6.0) ** 2) / 2),
        np.exp(-(((x - 4) ** 2 + y**2) / 8)) + np.exp(-(((x + 4) ** 2 + y**2) / 8)),
        np.exp(-((np.hypot(x, y) - 5) ** 2) / 2),
    ]
    truth = rng.integers(0, 3, 40)
    images = np.array([np.rot90(shapes[k], rng.integers(4)) for k in truth]) * 4
    images = images * soft_circle((BOX, BOX), 8, 4) + rng.standard_normal((40, BOX, BOX))
    return images.astype(np.float32)


# With two passes, or a fraction of the posterior, instruction sets differ from one another, too: they search
# whole vectors of offsets.
SETTINGS = {
    "classes": 3,
    "iterations": 6,
    "search": "exhaustive",
    "adaptive_fraction": 1.0,
    "mask_diameter_angstrom": 64.0,
    "psi_step_deg": 30.0,
    "offset_range_px": 2.0,
    "offset_step_px": 1.0,
    "seed": 1,
}


def classified(images, backend, **more):
    said = []
    results = list(
        classify2d(
            images,
            pixel_size_angstrom=PIXEL,
            backend=backend,
            warn=said.append,
            threads=2,
            **SETTINGS,
            **more,
        )
    )
    return results, said


def assert_same_classification(got, want):
    """Poses and averages agree but for single precision, iteration by iteration."""
    assert len(got) == len(want) > 1
    for one, other in zip(got, want, strict=True):
        assert (one.assignments.class_index == other.assignments.class_index).all()
        size = np.abs(other.model.references).max()
        assert np.abs(one.model.references - other.model.references).max() < 1e-3 * size
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-5)


@pytest.fixture(scope="module")
def on_the_cpu(particles):
    return classified(particles, "cpu")[0]


@pytest.mark.parametrize("backend", ["cuda", "cuda:0,2"])
def test_a_whole_classification_is_that_of_the_cpu(devices, particles, on_the_cpu, backend):
    devices.need(backend)
    results, said = classified(particles, backend)
    assert_same_classification(results, on_the_cpu)
    assert not [text for text in said if "device" in text]


@pytest.mark.parametrize("backend", ["cuda:1", "cuda:0,1"])
def test_a_device_that_disappears_loses_no_iteration(devices, particles, on_the_cpu, backend):
    devices.set(lost_device=1, operations_to_loss=200)
    results, said = classified(particles, backend)
    assert_same_classification(results, on_the_cpu)
    lost = [text for text in said if "going on without device 1" in text]
    assert len(lost) == 1
    assert lost[0].endswith("on cuda:0" if "," in backend else "on the backend cpu")


def test_a_device_with_too_little_memory_is_left_out(devices, particles, on_the_cpu):
    if not devices.emulated:
        pytest.skip("a real device cannot be left so little")
    devices.set(memory=50_000)
    results, said = classified(particles, "cuda")
    assert_same_classification(results, on_the_cpu)
    assert len([text for text in said if "out of memory; going on without device 0" in text]) == 1


def test_without_a_fallback_a_lost_device_is_an_error(devices):
    devices.set(operations_to_loss=2)
    with pytest.raises(RuntimeError, match="unavailable"):
        get_backend("cuda").expectation(**trial.trial_arguments(), threads=1)


def test_devices_keep_their_numbers_when_one_does_not_answer(devices):
    devices.set(devices=3, lost_device=1, operations_to_loss=1)
    with pytest.raises(RuntimeError, match="unavailable"):
        CudaBackend(devices.module, [1]).ctf(np.ones((1, 9)), np.ones((1, 2), np.float32), 0, 1)
    first, second, third = devices.module.device_names()
    assert first == third == "emulated device"
    assert second == "unusable (CUDA-capable device(s) is/are busy or unavailable)"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cuda:3", "there is no device 3, but 3 from 0 on"),
        ("cuda:0,0", "names a device twice"),
        ("cuda:x", "is not understood; write cuda:0 or cuda:0,1"),
        ("cuda:", "is not understood"),
        ("gpu", "is unknown; choose auto, cpu, cuda"),
    ],
)
def test_wrong_names_are_refused(devices, name, sentence):
    devices.set(devices=3)
    with pytest.raises(InputError, match=sentence):
        get_backend(name)


def test_auto_takes_what_is_faster_and_says_so(devices, monkeypatch):
    devices.set(devices=3)
    said = []
    for cpu_seconds, chosen in ((1.0, "cpu"), (9.0, "cuda:0,1,2")):
        seconds = {"cpu": cpu_seconds, "cuda:0,1,2": 3.0}
        monkeypatch.setattr(
            trial, "seconds_of_trial", lambda backend, threads, work, s=seconds: s[backend.name]
        )
        assert select.get_backend("auto", said.append).name == chosen
    assert said == ["using cuda:0,1,2, 3.0 times as fast as the CPU"]


def test_auto_is_the_cpu_without_a_device(monkeypatch):
    def fail():
        raise InputError("no device")

    monkeypatch.setattr(cuda, "load_module", fail)
    assert get_backend("auto").name == "cpu"


def test_auto_is_the_cpu_where_devices_fail_at_the_trial(devices):
    devices.set(devices=1, operations_to_loss=5)
    assert get_backend("auto").name == "cpu"
    devices.set(reset=1, operations_to_loss=5)
    said = []
    assert get_backend("auto", said.append).name == "cpu"
    (text,) = said
    assert text.startswith("using the CPU, because cuda:0 failed at a small piece of work (CUDA failed in")


def test_a_worker_uses_the_first_device_that_it_sees(devices):
    """The command may see others, and CUDA_VISIBLE_DEVICES rules what workers see."""
    devices.set(devices=3)
    said = []
    backend = get_worker_backend("cuda:1,2", said.append)
    assert (backend.name, said) == ("cuda:0", [])
    devices.set(operations_to_loss=2)
    want = cpu.polar_transform(IMAGE, None, IMAGE[0], POSITION, threads=1)
    assert (backend.polar_transform(IMAGE, None, IMAGE[0], POSITION, 1)[0] == want[0]).all()
    assert said.pop().endswith("going on without device 0, on the backend cpu") and said == []
    assert get_worker_backend("cpu", said.append).name == "cpu" and said == []


def test_a_worker_without_a_device_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = []
    assert get_worker_backend("cuda:0", said.append).name == "cpu"
    assert said[0].endswith("use the backend cpu; this worker goes on with the CPU")


@pytest.mark.parametrize("kernel", ["log_pick_maps", "extract"])
def test_the_trials_of_picking_and_extraction_are_proper_problems(kernel):
    got = getattr(cpu, kernel)(**trial.trial_arguments(kernel), threads=2)
    assert np.isfinite(got[0]).all()
    assert got[0].std() > 0


def test_the_trial_of_classification_is_a_proper_problem(devices):
    arguments = trial.trial_arguments()
    part = {name: arguments[name][:4] for name in ("images", "ctf", "group", "scale")}
    part |= {name: arguments[name][:4] for name in ("log_prior_offset", "coarse_log_prior_offset")}
    part |= {name: arguments[name][:5] for name in ("references", "power", "log_prior_class")}
    on_cpu = cpu.expectation(**arguments | part, threads=1)
    on_device = get_backend("cuda").expectation(**arguments | part, threads=1)
    assert np.allclose(on_cpu["class_posterior"], on_device["class_posterior"], atol=1e-3)


def test_kernels_stop_when_asked(devices):
    backend = CudaBackend(devices.module)
    ask_to_stop()
    try:
        with pytest.raises(KeyboardInterrupt):
            backend.ctf(np.zeros((1, 9)), np.zeros((1, 2), np.float32), 0, 1)
    finally:
        ask_to_stop(False)
