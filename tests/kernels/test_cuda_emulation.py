"""The emulation is only worth something if it refuses what a device would refuse."""

import math

import pytest

SUCCESS, INVALID_VALUE, INVALID_CONFIGURATION, ILLEGAL_ADDRESS = 0, 1, 9, 700


@pytest.mark.parametrize("n", [1, 7, 1024, 5000])
def test_writes_inside_an_array_are_allowed(wrong_kernels, n):
    assert wrong_kernels.write(n, 0, n) == SUCCESS


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
def test_writes_outside_an_array_are_caught(wrong_kernels, n, start, stop):
    assert wrong_kernels.write(n, start, stop) == ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("offset", "status"), [(0, SUCCESS), (1023, SUCCESS), (1024, ILLEGAL_ADDRESS), (-1, ILLEGAL_ADDRESS)]
)
def test_reads_outside_an_array_are_caught(wrong_kernels, offset, status):
    assert wrong_kernels.read(1024, offset) == status


def test_host_pointers_are_refused(wrong_kernels):
    assert wrong_kernels.pass_host_pointer() == ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("grid", "block", "status"),
    [(1, 1024, SUCCESS), (1, 1025, INVALID_CONFIGURATION), (0, 64, INVALID_CONFIGURATION)],
)
def test_launches_no_device_takes_are_refused(wrong_kernels, grid, block, status):
    assert wrong_kernels.launch_shape(grid, block) == status


def test_copies_are_checked(wrong_kernels):
    assert wrong_kernels.copy_too_much() == INVALID_VALUE
    assert wrong_kernels.copy_wrong_way() == INVALID_VALUE


def test_unwritten_device_memory_is_not_a_number(wrong_kernels):
    assert math.isnan(wrong_kernels.read_unwritten())


def test_a_missing_device_is_an_error_with_cudas_words(cuda_emulated):
    with pytest.raises(RuntimeError, match="choosing the device: invalid device ordinal"):
        cuda_emulated.ctf([[1e4, 1e4, 0, 0, 300, 2.7, 0.1, 0, 1]], [[0.1, 0.1]], 0, 1)
