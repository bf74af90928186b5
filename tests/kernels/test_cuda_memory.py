"""Memory that is kept from call to call is nobody else's while a device works on it, whatever goes wrong."""

import numpy as np
import pytest
import test_cuda_class2d as class2d


def images_of(number, shape):
    return np.random.default_rng(number).standard_normal(shape).astype(np.float32)


POSITIONS = np.random.default_rng(0).uniform(0, 4, (40, 2)).astype(np.float32)


def ctf(module, number):
    rows = np.array([[1e4 + 10 * i, 1.1e4, 5 * number, 0, 300, 2.7, 0.1, 0, 1] for i in range(9)])
    return [module.ctf(rows, images_of(1, (50, 2)) / 10, 0, 0)]


def polar_transform(module, number):
    images = images_of(number, (9, 12, 12))
    shifts = np.full((9, 2), number, np.int32)
    return module.polar_transform(images, shifts, np.ones((12, 12), np.float32), POSITIONS, 0)


def polar_adjoint(module, number):
    samples = images_of(number, (9, 40)) + 1j * images_of(number + 9, (9, 40))
    return [module.polar_adjoint(samples.astype(np.complex64), POSITIONS, 12, 0)]


def expectation(module, number):
    case = class2d.cases.make_case(number, images=4, classes=2)
    return class2d.run(module, class2d.cases.with_first_pass(case, 1)).values()


def log_pick_maps(module, number):
    image, outside = images_of(number, (30, 40)), images_of(number + 9, 40 * 40 - 30 * 40)
    return module.log_pick_maps(image, outside, 24, np.geomspace(100, 4, 4), 8.0, -1.0, 0)


def log_pick_peaks(module, number):
    best, index = images_of(number, (24, 24)), np.full((24, 24), number % 2, np.uint8)
    allowed, radius2 = np.ones(2, np.uint8), np.array([9, 16])
    return module.log_pick_peaks(best, index, allowed, radius2, (2, 22, 2, 22), 0.2, 3.0, 0)


def extract(module, number):
    centres = np.random.default_rng(number).integers(0, 30, (9, 2)).astype(np.int32)
    filters = 2 + images_of(number, (9, 16, 9)) / 9
    shifts = images_of(number, (9, 2)) / 4
    fixed = (500.0, 12, 10, 8, 3.0 if number == 1 else -1.0, True, 2.5, 2.5, True, 1, 0)
    return module.extract(images_of(number, (30, 40)), centres, shifts, filters, *fixed)


def stored_images(module, number):
    """An expectation of images that are in a store."""
    case = class2d.cases.make_case(number, images=4, classes=2)
    images, ctf = case["images"], case["ctf"]
    store, room = module.make_image_store(4, images.shape[1], 0)
    try:
        if room < 4:
            raise module.OutOfMemory("some have no room")
        slots = np.array([3, 1, 2, 0], np.int32)
        module.put_images(store, slots, images, ctf)
        none = {"images": images[:0], "ctf": ctf[:0]}
        return class2d.run(module, case | none | {"slots": slots, "store": store}).values()
    finally:
        module.release_image_store(store)


def bits(values):
    return [np.asarray(value).tobytes() for value in values]


WORKS = [ctf, polar_transform, polar_adjoint, expectation, stored_images, log_pick_maps, log_pick_peaks]


@pytest.mark.parametrize("work", [*WORKS, extract], ids=lambda work: work.__name__)
def test_a_call_without_memory_leaves_nothing_under_way(cuda_emulation, cuda_emulated, work):
    """One of its allocations fails; the next call gets the same memory, and other images."""
    want = [bits(work(cuda_emulated, number)) for number in (1, 2)]
    before = cuda_emulation.history().count("a")
    work(cuda_emulated, 1)
    allocations = cuda_emulation.history().count("a") - before
    wrong = []
    for turn, nth in enumerate(range(1, allocations + 1, 1 + allocations // 10)):
        cuda_emulated.keep_memory(False)
        cuda_emulated.keep_memory(True)
        cuda_emulation.set(allocations_to_failure=nth, seed=turn % 3)
        try:
            for number in (1, 2):
                try:
                    if bits(work(cuda_emulated, number)) != want[number - 1]:
                        wrong.append((nth, number))
                except cuda_emulated.OutOfMemory:
                    assert number == 1
        finally:
            cuda_emulated.keep_memory(False)
    assert allocations >= 3 and wrong == []


def test_pinned_memory_of_a_lost_device_is_not_for_others(cuda_emulation, cuda_emulated):
    case = class2d.cases.make_case(3, images=4, classes=2)
    cuda_emulation.set(devices=2)
    want = bits(class2d.run(cuda_emulated, case).values())
    cuda_emulated.keep_memory(True)
    try:
        cuda_emulation.set(lost_device=1, operations_to_loss=30)
        with pytest.raises(RuntimeError, match="unavailable"):
            class2d.run(cuda_emulated, case, device=1)
        assert bits(class2d.run(cuda_emulated, case).values()) == want
    finally:
        cuda_emulated.keep_memory(False)
