"""The CUDA sources and the emulation under AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Compiles in half the time of -O1, and finds the same.
FLAGS = "-Og -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
# What exercises every kernel, want of memory and losses of devices; and faults that have to be found.
TESTS = (
    "planted_faults.py",
    "test_cuda_class2d.py::test_order_of_threads_blocks_and_streams_does_not_matter[False-True]",
    "test_cuda_class2d.py::test_order_of_threads_blocks_and_streams_does_not_matter[True-False]",
    *(
        f"test_cuda_memory.py::test_a_call_without_memory_leaves_nothing_under_way[{kernel}]"
        for kernel in (
            "ctf",
            "polar_transform",
            "polar_adjoint",
            "extract",
            "log_pick_maps",
            "log_pick_peaks",
            "stored_images",
        )
    ),
    "test_cuda_class2d.py::test_a_lost_device_is_an_error[40]",
)
PLANTED = 2


def run_under_sanitizers(*tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a process of their own, whose first library is AddressSanitizer's."""
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        pytest.skip(f"no C++ compiler {compiler}: set CXX")
    # Exceptions need the C++ library to be there when the sanitizer starts.
    names = ("libasan.so", "libstdc++.so")
    asked = [[compiler, f"-print-file-name={name}"] for name in names]
    libraries = [subprocess.run(a, capture_output=True, text=True, check=True).stdout.strip() for a in asked]
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip(f"{compiler} has no AddressSanitizer")
    environment = os.environ | {
        "BOXWOOD_SANITIZERS": FLAGS,
        "LD_PRELOAD": " ".join(libraries),
        # Python itself leaks; a kernel's fault is the emulation's to handle.
        "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0",
    }
    folder = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short"]
    return subprocess.run(
        [*command, *(str(folder / test) for test in tests)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=folder.parents[1],
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)  # compiles all anew, and runs it slowly
def test_sources_are_clean_under_sanitizers():
    done = run_under_sanitizers(*TESTS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"{len(TESTS) + PLANTED - 1} passed" in done.stdout
