"""What a device has room for, and in which order it works, decides how work is cut up and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.backends.devices import CudaBackend

SEEDS = range(6)
RNG = np.random.default_rng(5)
MICROGRAPH = (500 + RNG.standard_normal((90, 110))).astype(np.float32)
OUTSIDE = RNG.standard_normal(110 * 110 - MICROGRAPH.size).astype(np.float32)
CENTRES = RNG.integers(0, 90, (23, 2)).astype(np.int32)
FILTERS = RNG.uniform(0.5, 1.5, (len(CENTRES), 36, 19)).astype(np.float32)
SHIFTS = RNG.uniform(-1, 1, CENTRES.shape).astype(np.float32)


def maps(backend):
    return backend.log_pick_maps(MICROGRAPH, OUTSIDE, 48, np.geomspace(400, 4, 9), 8.0, -1.0, 1)


def pick(backend):
    found = maps(backend)
    allowed, radius2 = np.ones(9, np.uint8), np.full(9, 16)
    peaks = backend.log_pick_peaks(found[0], found[1], allowed, radius2, (3, 45, 3, 45), 0.0, np.inf, 1)
    return [np.asarray(values).tobytes() for values in (*found, *peaks)]


def peaks(backend):
    """Of a map with many, whose discs reach far."""
    rng = np.random.default_rng(7)
    best = rng.standard_normal((96, 96)).astype(np.float32).round(1)  # some are equal
    index = rng.integers(0, 3, best.shape).astype(np.uint8)
    allowed, radius2 = np.array([1, 0, 1], np.uint8), np.array([20, 9, 50])
    found = backend.log_pick_peaks(best, index, allowed, radius2, (2, 90, 5, 96), 0.2, 3.0, 1)
    return [np.asarray(values).tobytes() for values in found]


def extract(backend):
    images, faults = backend.extract(
        MICROGRAPH, CENTRES, SHIFTS, FILTERS, 500.0, 32, 24, 20, 8.0, True, 2.5, 2.5, True, 1, 1
    )
    assert not faults.any()
    return images.tobytes()


@pytest.fixture
def emulated(cuda_emulated, cuda_emulation):
    return CudaBackend(cuda_emulated)


@pytest.mark.parametrize(
    ("work", "bytes_needed"), [(pick, 400_000), (extract, 300_000), (peaks, 40_000), (peaks, 25_000)]
)
def test_batches_shrink_to_the_memory_there_is(emulated, cuda_emulation, work, bytes_needed):
    plenty = work(emulated)
    cuda_emulation.set(memory=bytes_needed)
    assert work(emulated) == plenty


# After the micrograph come rows (from 10 on), the plan of the columns (13), then filters (from 14 on).
@pytest.mark.parametrize(
    ("work", "allocation"),
    [(pick, 10), (pick, 13), (pick, 16), (pick, 18), (extract, 3), (extract, 20), (peaks, 1), (peaks, 4)],
)
def test_a_failed_allocation_is_tried_again_with_less(emulated, cuda_emulation, work, allocation):
    """The memory that was free when the work was planned may be another program's by now."""
    plenty = work(emulated)
    cuda_emulation.set(allocations_to_failure=allocation)
    assert work(emulated) == plenty


def test_a_grid_has_room_for_the_largest_batch(emulated, cuda_emulation):
    """The device is lost before any kernel runs: what no device takes is refused when it is launched."""
    n = 40_000
    centres, shifts = np.full((n, 2), 20, np.int32), np.full((n, 2), 0.25, np.float32)
    cuda_emulation.set(operations_to_loss=4)
    with pytest.raises(RuntimeError, match="unavailable"):
        emulated.extract(MICROGRAPH, centres, shifts, None, 0.0, 4, 4, 4, -1.0, False, 0.0, 0.0, False, 1, 1)


@pytest.mark.parametrize("work", [pick, extract])
def test_too_little_memory_is_an_error_that_says_so(emulated, cuda_emulation, work):
    cuda_emulation.set(memory=50_000)
    with pytest.raises(RuntimeError, match="reserving device memory: out of memory"):
        work(emulated)


def test_peaks_are_those_of_the_cpu(emulated, cuda_emulation):
    want = peaks(get_backend("cpu"))
    assert len(want[0]) > 8 * 100
    for memory in (1 << 20, 25_000):
        cuda_emulation.set(memory=memory)
        assert peaks(emulated)[0] == want[0]


@pytest.mark.parametrize("work", [pick, extract, peaks])
def test_no_order_of_streams_blocks_and_threads_changes_anything(emulated, cuda_emulation, work):
    cuda_emulation.set(memory=600_000)
    results = set()
    for seed in SEEDS:
        cuda_emulation.set(seed=seed)
        results.add(str(work(emulated)))
    assert len(results) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_large_micrograph_comes_through_pinned_memory_unharmed(emulated, cuda_emulation, seed):
    """It is sent in pieces, more of them than there is pinned memory for."""
    cuda_emulation.set(seed=seed)
    image = np.arange(1800 * 1800, dtype=np.float32).reshape(1800, 1800)
    centres = np.column_stack([np.full(18, 900), np.arange(50, 1800, 100)]).astype(np.int32)
    boxes, _ = emulated.extract(image, centres, None, None, 0.0, 4, 4, 4, -1.0, False, 0.0, 0.0, False, 1, 1)
    want = [image[y - 2 : y + 2, x - 2 : x + 2] for x, y in centres]
    assert np.array_equal(boxes, want)


def test_several_threads_share_a_device(emulated):
    alone = pick(emulated), extract(emulated)
    with ThreadPoolExecutor(4) as pool:
        picked = [pool.submit(pick, emulated) for _ in range(3)]
        extracted = [pool.submit(extract, emulated) for _ in range(3)]
        assert all(future.result() == alone[0] for future in picked)
        assert all(future.result() == alone[1] for future in extracted)
