"""Images that stay on devices: the same results, nothing sent twice, nothing lost."""

import expectation_cases as cases
import numpy as np
import pytest
import test_cuda_devices as runs

from boxwood.backends import cpu
from boxwood.backends.devices import CudaBackend
from boxwood.backends.image_store import StoredImages
from boxwood.class2d.particles import PolarParticles
from boxwood.class2d.transforms import StoredTransforms

particles = runs.particles

SETTINGS = runs.SETTINGS | {"iterations": 3}
N, SAMPLES = 40, 224  # of runs.particles, and of each on the rings in use
BYTES_A_SAMPLE = 8 + 4  # of the transform and of the CTF


@pytest.fixture(scope="module")
def on_the_cpu(particles):
    return list(
        runs.classify2d(particles, pixel_size_angstrom=runs.PIXEL, backend="cpu", threads=2, **SETTINGS)
    )


@pytest.fixture
def stores(monkeypatch):
    """The stores that are made."""
    made, make = [], CudaBackend.image_store
    monkeypatch.setattr(
        CudaBackend, "image_store", lambda self, n, samples: made.append(make(self, n, samples)) or made[-1]
    )
    return made


def iterations(images, emulation, backend="cuda"):
    """Results of a classification, what it said, and bytes sent to devices for each iteration."""
    results, said, sent = [], [], []
    for result in runs.classify2d(
        images, pixel_size_angstrom=runs.PIXEL, backend=backend, threads=2, warn=said.append, **SETTINGS
    ):
        results.append(result)
        sent.append(emulation.sent_bytes())
    return results, said, np.diff(sent)


def sent_anew(images, emulation, backend="cuda"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CudaBackend, "image_store", lambda self, n, samples: None)
        return iterations(images, emulation, backend)


def agree(devices, results, others):
    """With the same bits on emulated devices; of cuBLAS nobody knows."""
    if devices.emulated:
        return same_bits(results, others)
    runs.assert_same_classification(results, others)
    return True


def same_bits(results, others):
    return len(results) == len(others) == 4 and all(
        one.model.references.tobytes() == other.model.references.tobytes()
        and one.assignments.log_likelihood.tobytes() == other.assignments.log_likelihood.tobytes()
        for one, other in zip(results, others, strict=True)
    )


@pytest.mark.parametrize("backend", ["cuda:0", "cuda:0,2"])
def test_images_are_sent_once(devices, particles, stores, monkeypatch, backend):
    """Between two runs of the same arithmetic there are exactly the bytes of all images and CTFs."""
    monkeypatch.setattr(PolarParticles, "move", lambda self, indices, centres: None)
    devices.need(backend)
    results, _, sent = iterations(particles, devices, backend)
    others, _, all_sent = sent_anew(particles, devices, backend)
    assert agree(devices, results, others)
    if devices.emulated:
        assert (all_sent - sent == N * SAMPLES * BYTES_A_SAMPLE).all()
    (store,) = stores
    held = np.bincount(store.device_of(np.arange(N)), minlength=3)
    assert held.tolist() == ([40, 0, 0] if backend == "cuda:0" else [20, 0, 20])


@pytest.mark.parametrize("room", [0, 7, 25])
def test_what_has_no_room_is_sent_every_time(devices, particles, stores, monkeypatch, room):
    """One device: half of its memory holds so many images."""
    if not devices.emulated:
        pytest.skip("the memory of a real device cannot be set to the byte")
    others, _, _ = sent_anew(particles, devices)
    make = devices.module.make_image_store
    free = {}

    def with_little_memory(most, samples, device):
        free[device] = 2 * BYTES_A_SAMPLE * samples * room + 100
        devices.set(memory=free[device])
        try:
            return make(most, samples, device)
        finally:
            devices.set(memory=1 << 30)

    monkeypatch.setattr(devices.module, "make_image_store", with_little_memory)
    results, said, _ = iterations(particles, devices)
    assert same_bits(results, others)
    assert (stores[0].device_of(np.arange(N)) >= 0).sum() == room
    assert not [text for text in said if "device" in text]


def test_images_of_particles_that_move_are_made_anew(devices, particles, monkeypatch):
    moved, move = [], PolarParticles.move

    def counted(self, indices, centres):
        moved.append(np.any(self.rows.centres[indices] != centres, axis=1).sum())
        move(self, indices, centres)

    monkeypatch.setattr(PolarParticles, "move", counted)
    results, _, _ = iterations(particles, devices)
    others, _, _ = sent_anew(particles, devices)
    assert 0 < sum(moved) < len(moved) * N
    assert agree(devices, results, others)
    monkeypatch.setattr(
        StoredTransforms, "knows", lambda self, index, centres: self.store.device_of(index) >= 0
    )
    assert not same_bits(iterations(particles, devices)[0], others), "old images would be noticed"


@pytest.mark.parametrize("backend", ["cuda:1", "cuda:0,1"])
@pytest.mark.parametrize("operations", [20, 100, 250])
def test_a_device_may_disappear_with_the_images_it_holds(
    devices, particles, on_the_cpu, stores, monkeypatch, backend, operations
):
    devices.set(lost_device=1, operations_to_loss=operations)
    results, said, _ = iterations(particles, devices, backend)
    runs.assert_same_classification(results, on_the_cpu)
    assert len([text for text in said if "going on without device 1" in text]) == 1
    (store,) = stores
    held = store.device_of(np.arange(N))
    assert np.bincount(held + 1).tolist() == ([20, 20] if "," in backend else [40])


def test_a_device_short_of_memory_gives_up_its_images_first(devices):
    """Other programs have taken all but a bit more or less than the kernel itself needs."""
    if not devices.emulated:
        pytest.skip("the memory of a real device cannot be set to the byte")
    case = cases.make_case(12, images=12)
    want = CudaBackend(devices.module).expectation(**case)
    images, ctf = case["images"], case["ctf"]
    numbers, told = np.arange(12), []
    for free in range(40_000, 110_000, 10_000):
        devices.set(memory=1 << 30)
        said = []
        backend = CudaBackend(devices.module, [0], cpu, said.append)
        store = backend.image_store(12, images.shape[1])
        store.put(numbers, images, ctf)
        stored = StoredImages(
            store, numbers, np.full(12, -1), images[:0], ctf[:0], lambda rows: (images[rows], ctf[rows])
        )
        devices.set(memory=free)
        got = backend.expectation(**case | {"images": stored, "ctf": None})
        if backend.name == "cuda:0":
            assert all(value.tobytes() == want[name].tobytes() for name, value in got.items()), free
        told.append([text.split("; ")[1] for text in said])
        assert (store.device_of(numbers) >= 0).all() == (not said)
    given_up = "the images on device 0 are sent to it anew every time"
    assert told[0] == [given_up, "going on without device 0, on the backend cpu"]
    assert [given_up] in told
    assert told[-1] == []


def test_a_store_given_up_in_the_middle_of_a_call_costs_no_device(devices, monkeypatch):
    """Another thread may find too little memory between the choice of slots and their use."""
    case = cases.make_case(12, images=6)
    images, ctf, numbers = case["images"], case["ctf"], np.arange(6)
    want, said = CudaBackend(devices.module).expectation(**case), []
    backend = CudaBackend(devices.module, [0], cpu, said.append)
    store = backend.image_store(6, images.shape[1])
    store.put(numbers, images, ctf)
    place = store.place

    def give_up_after(particles, device):
        found = place(particles, device)
        store.give_up(device)
        return found

    monkeypatch.setattr(store, "place", give_up_after)
    stored = StoredImages(
        store, numbers, np.full(6, -1), images[:0], ctf[:0], lambda rows: (images[rows], ctf[rows])
    )
    got = backend.expectation(**case | {"images": stored, "ctf": None})
    assert backend.name == "cuda:0" and said == []
    assert all(np.allclose(value, want[name], rtol=1e-4) for name, value in got.items())
    devices.module.release_image_store(store._number.setdefault(0, 0))
    store.put(numbers, images, ctf)
    assert backend.name == "cuda:0" and said == []
