"""Faults that only the sanitizers see; test_cuda_sanitizers.py runs this under them."""

import os

import pytest


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("leave_static_shared", "index 8 out of bounds"),  # UndefinedBehaviorSanitizer
        ("leave_host_memory", "heap-buffer-overflow"),  # AddressSanitizer
    ],
)
def test_a_planted_fault_is_found(wrong, capfd, function, told):
    process = os.fork()
    if process == 0:
        getattr(wrong.functions, function)(8)
        os._exit(0)
    assert os.waitpid(process, 0)[1] != 0
    assert told in capfd.readouterr().err
