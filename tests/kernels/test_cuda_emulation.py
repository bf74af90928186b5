"""The emulation is only worth something if it refuses what a device would refuse, and shows what is wrong."""

import math

import pytest

SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, INVALID_CONFIGURATION = 0, 1, 2, 9
ILLEGAL_ADDRESS, LAUNCH_FAILURE, UNAVAILABLE = 700, 719, 46
WRONG = -1
SEEDS = range(9)


def outcomes(wrong, function, *arguments):
    """What comes of a call, over orders of threads, blocks and streams."""
    found = set()
    for seed in SEEDS:
        wrong.set(reset=1, seed=seed)
        value = getattr(wrong.functions, function)(*arguments)
        found.add("NaN" if isinstance(value, float) and math.isnan(value) else value)
    return found


@pytest.mark.parametrize("n", [1, 7, 1024, 5000])
def test_writes_inside_an_array_are_allowed(wrong, n):
    assert wrong.functions.write(n, 0, n) == SUCCESS


@pytest.mark.parametrize(
    ("n", "start", "stop"),
    [
        (1, 0, 2),
        (7, 0, 8),
        (1024, 0, 1025),
        (5000, 5000, 5001),
        (64, -1, 64),
        (1024, -1, 1024),
        (10, 20000, 20001),
    ],
)
def test_writes_outside_an_array_are_caught(wrong, n, start, stop):
    assert wrong.functions.write(n, start, stop) == ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("offset", "status"), [(0, SUCCESS), (1023, SUCCESS), (1024, ILLEGAL_ADDRESS), (-1, ILLEGAL_ADDRESS)]
)
def test_reads_outside_an_array_are_caught(wrong, offset, status):
    assert wrong.functions.read(1024, offset) == status


def test_host_pointers_are_refused(wrong):
    assert wrong.functions.pass_host_pointer() == ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("grid", "block", "shared", "status"),
    [
        (1, 1024, 48 << 10, SUCCESS),
        (1, 1025, 0, INVALID_CONFIGURATION),
        (0, 64, 0, INVALID_CONFIGURATION),
        (1, 64, (48 << 10) + 1, INVALID_CONFIGURATION),
    ],
)
def test_launches_no_device_takes_are_refused(wrong, grid, block, shared, status):
    wrong.functions.allow_shared_of_fill(48 << 10)  # as at first; another test may have asked for more
    assert wrong.functions.launch_shape(grid, block, shared) == status


@pytest.mark.parametrize(("bytes", "status"), [(227 << 10, SUCCESS), ((227 << 10) + 1, INVALID_VALUE)])
def test_a_block_has_227_kb_of_shared_memory(wrong, bytes, status):
    assert wrong.functions.allow_shared(bytes) == status


def test_a_launch_does_not_take_back_the_shared_memory_of_another(wrong):
    """Another thread may have asked for more and be about to launch the same kernel."""
    wrong.set(devices=2)
    for device in (0, 1):
        assert wrong.functions.launch_with_shared(device, 80 << 10) == SUCCESS
        assert wrong.functions.launch_with_shared(device, 60 << 10) == SUCCESS
        assert wrong.functions.launch_shape(1, 64, 80 << 10) == SUCCESS


def test_copies_are_checked(wrong):
    assert wrong.functions.copy_too_much() == INVALID_VALUE
    assert wrong.functions.copy_wrong_way() == INVALID_VALUE


def test_unwritten_device_memory_is_not_a_number(wrong):
    assert math.isnan(wrong.functions.read_unwritten())


def test_a_missing_barrier_is_seen(wrong):
    assert outcomes(wrong, "turned_round", 1) == {SUCCESS}
    assert WRONG in outcomes(wrong, "turned_round", 0)
    assert outcomes(wrong, "block_sum", -1) == {255 * 128}
    for round_ in range(5):
        assert len(outcomes(wrong, "block_sum", round_)) > 1


def test_a_missing_barrier_before_shared_memory_is_used_again_is_seen(wrong):
    """Without it a warp may leave its part of the next sum where another has not read the last one yet."""
    assert outcomes(wrong, "block_sums", 1) == {SUCCESS}
    assert WRONG in outcomes(wrong, "block_sums", 0)


def test_barriers_that_not_all_threads_reach_are_caught(wrong):
    assert outcomes(wrong, "turned_round", 2) == {LAUNCH_FAILURE}
    assert "wait at different barriers" in wrong.fault()
    assert outcomes(wrong, "turned_round", 3) == {LAUNCH_FAILURE}
    assert "waits at a barrier, others have exited" in wrong.fault()


@pytest.mark.parametrize(
    ("n", "index", "read", "status"),
    [
        (8, 7, 7, SUCCESS),
        (8, 8, 0, ILLEGAL_ADDRESS),
        (8, -1, 8, ILLEGAL_ADDRESS),
        (8, -2, 0, LAUNCH_FAILURE),
        (7, 7, 0, LAUNCH_FAILURE),
    ],
)
def test_accesses_outside_shared_memory_are_caught(wrong, n, index, read, status):
    assert wrong.functions.shared_access(n, index, read) == status


def test_unwritten_shared_memory_is_not_a_number(wrong):
    assert wrong.functions.dynamic_shared_value(3, 3) == 1
    assert math.isnan(wrong.functions.dynamic_shared_value(3, 4))
    assert wrong.functions.static_shared_value(1) == 2
    assert math.isnan(wrong.functions.static_shared_value(0))


def test_operations_of_a_warp(wrong):
    whole = 0xFFFFFFFF
    assert outcomes(wrong, "sum_of_warp", 32, 32, whole) == {SUCCESS}
    assert outcomes(wrong, "sum_of_warp", 32, 31, whole) == {LAUNCH_FAILURE}
    assert "waits for a lane that has exited" in wrong.fault()
    assert outcomes(wrong, "sum_of_warp", 16, 32, whole) == {LAUNCH_FAILURE}
    assert "waits for a lane that does not exist" in wrong.fault()
    assert outcomes(wrong, "sum_of_warp", 32, 16, 0xFFFF) == {LAUNCH_FAILURE}
    assert "reads from a lane that takes no part" in wrong.fault()
    assert outcomes(wrong, "sum_of_warp", 32, 32, 0x7FFFFFFF) == {LAUNCH_FAILURE}
    assert "is not in its own mask" in wrong.fault()
    assert outcomes(wrong, "shuffle_in_two_branches") == {LAUNCH_FAILURE}


def test_a_missing_synchronisation_of_a_warp_is_seen(wrong):
    assert outcomes(wrong, "neighbours", 1) == {SUCCESS}
    assert WRONG in outcomes(wrong, "neighbours", 0)


def test_a_missing_wait_for_an_event_is_seen(wrong):
    right = 4321.0
    assert outcomes(wrong, "turns_of_two_streams", 1, 1) == {right}
    assert outcomes(wrong, "turns_of_two_streams", 0, 1) != {right}
    assert outcomes(wrong, "turns_of_two_streams", 1, 0) != {right}


def test_a_missing_wait_of_the_host_is_seen(wrong):
    for pinned, too_early in ((1, {2.0}), (0, {1.0, 2.0})):  # ordinary memory may be read at once, or as late
        assert outcomes(wrong, "staging_reused", pinned, 1) == {1.0}
        assert outcomes(wrong, "staging_reused", pinned, 0) == too_early
    assert outcomes(wrong, "looked_at_too_early", 1) == {0.0}
    assert outcomes(wrong, "looked_at_too_early", 0) == {"NaN"}


def test_devices_have_memories_of_their_own(wrong):
    wrong.set(devices=2)
    assert wrong.functions.memory_of_device(0) == SUCCESS
    assert wrong.functions.memory_of_device(1) == ILLEGAL_ADDRESS


def test_memory_ends(wrong):
    wrong.set(memory=64 << 20)
    assert wrong.functions.room(24) == 40
    assert wrong.functions.reserve(64) == SUCCESS
    assert wrong.functions.reserve(65) == OUT_OF_MEMORY
    wrong.set(allocations_to_failure=2)
    assert [wrong.functions.reserve(1) for _ in range(3)] == [SUCCESS, OUT_OF_MEMORY, SUCCESS]


def test_a_device_can_be_lost_and_stays_so(wrong):
    wrong.set(operations_to_loss=3)
    found = [wrong.functions.write(8, 0, 8) for _ in range(2)]
    assert found == [SUCCESS, SUCCESS]
    assert wrong.functions.write(8, 0, 8) == UNAVAILABLE
    wrong.set(reset=1)
    assert wrong.functions.write(8, 0, 8) == SUCCESS


@pytest.mark.parametrize(
    ("leading", "status"),
    [((3, 4, 3), SUCCESS), ((2, 4, 3), 7), ((3, 3, 3), 7), ((3, 4, 2), 7), ((4, 4, 3), 7)],
)
def test_the_stand_in_of_cublas_checks_matrices(wrong, leading, status):
    for tf32 in (0, 1):
        assert wrong.functions.product(*leading, tf32) == status


@pytest.mark.parametrize("n", [2, 5, 6, 12])
def test_the_stand_in_of_cufft_goes_there_and_back(wrong, n):
    assert wrong.functions.there_and_back(n, 0) <= n**4 * 2**-22
    assert math.isnan(wrong.functions.there_and_back(n, 1)), "cuFFT destroys the input of such a transform"


def test_a_missing_device_is_an_error_with_cudas_words(cuda_emulated):
    with pytest.raises(RuntimeError, match="choosing the device: invalid device ordinal"):
        cuda_emulated.ctf([[1e4, 1e4, 0, 0, 300, 2.7, 0.1, 0, 1]], [[0.1, 0.1]], 0, 1)
