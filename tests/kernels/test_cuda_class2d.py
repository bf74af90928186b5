"""What the Class2D kernels on a device have to themselves: order, memory, devices."""

import re

import expectation_cases as cases
import numpy as np
import pytest


def run(module, case, device=0):
    return module.expectation(**{k: v for k, v in case.items() if k != "threads"}, device=device)


def same_bits(one, other):
    return [name for name, value in one.items() if value.tobytes() != other[name].tobytes()] == []


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize("hard", [False, True])
def test_order_of_threads_blocks_and_streams_does_not_matter(cuda_emulation, cuda_emulated, two_pass, hard):
    case = cases.make_case(11, images=7) | {"hard": hard}
    if two_pass:
        case = cases.with_first_pass(case, 1) | {"fraction": 0.9}
    first = run(cuda_emulated, case)
    for seed in range(4):
        cuda_emulation.set(seed=seed)
        assert same_bits(first, run(cuda_emulated, case))


def test_little_memory_takes_longer_and_changes_nothing(cuda_emulation, cuda_emulated):
    case = cases.make_case(12, images=40)
    first = run(cuda_emulated, case)
    for mebibytes in (8, 3, 2):
        cuda_emulation.set(memory=mebibytes << 20)
        assert same_bits(first, run(cuda_emulated, case)), mebibytes


@pytest.mark.parametrize("nth", [30, 45, 55, 65, 75])
def test_memory_that_is_not_to_be_had_after_all_is_done_without(cuda_emulation, cuda_emulated, nth):
    case = cases.make_case(13, images=12)
    first = run(cuda_emulated, case)
    cuda_emulation.set(allocations_to_failure=nth)
    assert same_bits(first, run(cuda_emulated, case))


def test_too_little_memory_is_an_error(cuda_emulation, cuda_emulated):
    cuda_emulation.set(memory=30_000)
    with pytest.raises(RuntimeError, match="reserving device memory: out of memory"):
        run(cuda_emulated, cases.make_case(14))


@pytest.mark.parametrize("nth", [1, 30, 40, 50])
def test_a_lost_device_is_an_error(cuda_emulation, cuda_emulated, nth):
    cuda_emulation.set(operations_to_loss=nth)
    with pytest.raises(RuntimeError, match="unavailable"):
        run(cuda_emulated, cases.make_case(15))
    cuda_emulation.set(reset=1)
    run(cuda_emulated, cases.make_case(15))


def test_memory_is_given_back(cuda_emulation, cuda_emulated):
    case = cases.make_case(16)
    cuda_emulation.set(memory=3 << 20)
    for _ in range(5):
        run(cuda_emulated, case)
    cuda_emulated.keep_memory(True)
    try:
        first = run(cuda_emulated, case)
        assert same_bits(first, run(cuda_emulated, case)), "kept memory is like new"
        # What another problem needs is found by giving up what is kept.
        run(cuda_emulated, cases.make_case(16, images=30, classes=12))
    finally:
        cuda_emulated.keep_memory(False)


def test_polar_transforms_do_not_depend_on_order_or_memory(cuda_emulation, cuda_emulated):
    rng = np.random.default_rng(1)
    grid = cases.PolarGrid(24, 7, 3.0, 7)
    images = rng.standard_normal((9, 24, 24)).astype(np.float32)
    mask = np.ones((24, 24), np.float32)
    shifts = rng.integers(-3, 4, (9, 2)).astype(np.int32)

    def both():
        there, power = cuda_emulated.polar_transform(images, shifts, mask, grid.positions, 0)
        return (
            there.tobytes(),
            power.tobytes(),
            cuda_emulated.polar_adjoint(there, grid.positions, 24, 0).tobytes(),
        )

    first = both()
    for seed in range(4):
        cuda_emulation.set(seed=seed)
        assert both() == first
    cuda_emulation.set(memory=300_000)
    assert both() == first


def test_the_next_batch_is_sent_while_the_first_pass_of_this_one_goes_on(cuda_emulation, cuda_emulated):
    """A copy to ordinary memory would make the host wait, and so would one from there, within the batches."""
    case = cases.make_case(17, images=12)
    cuda_emulation.set(memory=200_000)
    before = len(cuda_emulation.history())
    run(cuda_emulated, case)
    batches = cuda_emulation.history()[before:].replace("a", "").lstrip("(")
    slices = "(<k+>+)+"
    assert re.fullmatch(rf"<<<(k+><<<\|{slices})+k+>\|{slices}\)\)\|", batches)


EXECUTION_FAILED, INTERNAL_ERROR, CUFFT_INTERNAL_ERROR = 13, 14, 5


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("status", [0, EXECUTION_FAILED, INTERNAL_ERROR])
def test_a_library_without_memory_is_asked_for_less(cuda_emulation, cuda_emulated, nth, status):
    """It may say so, or on a device with little memory no more than that it failed."""
    case = cases.make_case(18, images=12)
    first = run(cuda_emulated, case)
    cuda_emulation.set(calls_to_failure=nth, failure_status=status, memory=8 << 20)
    assert same_bits(first, run(cuda_emulated, case))


def test_a_library_that_fails_with_memory_to_spare_is_an_error(cuda_emulation, cuda_emulated):
    cuda_emulation.set(calls_to_failure=3, failure_status=EXECUTION_FAILED)
    with pytest.raises(RuntimeError, match="the function failed to launch on the GPU") as failure:
        run(cuda_emulated, cases.make_case(18))
    assert not isinstance(failure.value, cuda_emulated.OutOfMemory)


def test_a_plan_without_memory_is_made_for_less(cuda_emulation, cuda_emulated):
    grid = cases.PolarGrid(24, 7, 3.0, 7)
    images, mask = np.ones((9, 24, 24), np.float32), np.ones((24, 24), np.float32)
    first, _ = cuda_emulated.polar_transform(images, None, mask, grid.positions, 0)
    for status in (0, CUFFT_INTERNAL_ERROR):
        cuda_emulation.set(calls_to_failure=1, failure_status=status, memory=8 << 20)
        again, _ = cuda_emulated.polar_transform(images, None, mask, grid.positions, 0)
        assert again.tobytes() == first.tobytes()
    cuda_emulation.set(calls_to_failure=1, memory=8 << 30)
    with pytest.raises(RuntimeError, match="cuFFT failed in planning: status 5"):
        cuda_emulated.polar_transform(images, None, mask, grid.positions, 0)
