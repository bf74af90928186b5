"""What NVIDIA's compiler makes of the CUDA sources, and what the compiled module says without a driver."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import cuda_resources as resources
import pytest

from boxwood.backends import cuda_status, get_backend
from boxwood.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def nvcc():
    found = resources.find_nvcc()
    if found is None:
        pytest.skip("no nvcc: set CUDACXX, or install cuda-toolkit[nvcc,cudart,cccl,crt,nvvm]")
    return found


@pytest.fixture(scope="module")
def kernels(nvcc):
    """Compiled for two architectures, and to PTX for later ones."""
    return resources.all_kernels(nvcc)


@pytest.mark.slow
def test_no_kernel_spills_registers(kernels):
    assert {k.file for k in kernels} >= {"ctf", "polar", "expectation_likelihood", "expectation_sums"}
    assert {k.architecture for k in kernels} == {"sm_80", "sm_90"}
    assert [(k.name, k.architecture) for k in kernels if k.spilled_bytes] == []
    assert min(k.occupancy for k in kernels) >= 0.25


@pytest.mark.slow
def test_the_documented_table_is_that_of_the_kernels(kernels, nvcc):
    """Registers and what follows from them are the compiler's: compared where it is the one that is named."""
    text = (ROOT / "docs/cuda.md").read_text()
    documented = re.findall(r"^\| \w+: .*\|$", text, re.M)
    found = resources.table(kernels)
    if re.search(r"nvcc ([\d.]+)", text)[1] != resources.compiler_version(nvcc):
        documented, found = (
            [[row.split("|")[i] for i in (1, 2, 3, 5)] for row in rows] for rows in (documented, found)
        )
    assert documented == found


def test_occupancy_is_that_of_the_occupancy_calculator():
    """By hand, for 256 threads: 64 registers leave 4 blocks of 8 warps, 100 KB of shared memory 1 or 2."""
    kernel = resources.Kernel("x", "x_kernel", "sm_90", 64, 0, 0)
    assert kernel.occupancy == 4 * 256 / 2048
    assert resources.Kernel("x", "x_kernel", "sm_90", 32, 100 << 10, 0).occupancy == 2 * 256 / 2048
    assert resources.Kernel("x", "x_kernel", "sm_80", 32, 100 << 10, 0).occupancy == 256 / 2048
    assert resources.Kernel("x", "x_kernel", "sm_80", 33, 0, 0).occupancy == 6 * 256 / 2048


def test_the_module_loads_without_a_driver_and_says_why_it_is_of_no_use():
    if importlib.util.find_spec("boxwood._cuda") is None:
        pytest.skip("boxwood._cuda was not built")
    code = "from boxwood import _cuda; print(_cuda.cuda_version); print(_cuda.device_names())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("13"), done.stderr
    if done.returncode:  # no driver, or no device
        assert "RuntimeError" in done.stderr
        with pytest.raises(InputError, match="unavailable because the driver offers no device"):
            get_backend("cuda")
        assert "the driver offers no device" in cuda_status()
    else:
        assert "devices: " in cuda_status()


def test_without_the_module_the_backend_says_how_to_get_it(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "boxwood._cuda" else found(name)
    )
    with pytest.raises(InputError, match=r"built without a CUDA compiler; reinstall .*BOXWOOD_CUDA=ON"):
        get_backend("cuda")
    assert "built without a CUDA compiler" in cuda_status()
