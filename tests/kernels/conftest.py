"""Every backend a kernel can be tested on: the CPU's instruction sets, CUDA emulated on the CPU, CUDA."""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pybind11
import pytest

import boxwood
from boxwood import _core
from boxwood.backends import Backend, get_backend
from boxwood.backends.cuda import CudaBackend

ROOT = Path(__file__).parents[2]
EMULATION = ROOT / "tests/cuda_emulation"


def cuda_headers() -> list[Path]:
    """Folders with NVIDIA's headers: $CUDA_HOME, the usual places, or the wheels of the test extra."""
    toolkits = [
        Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")),
        *sorted(Path("/usr/local").glob("cuda-*")),
    ]
    wheels = Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    for folder in [*(t / "include" for t in toolkits), *sorted(wheels.glob("*/include"))]:
        if (folder / "cuda_runtime.h").exists() and (folder / "crt/host_defines.h").exists():
            return [folder, *folder.glob("cccl")]
    pytest.skip("no CUDA headers: install the test extra, or set CUDA_HOME to a toolkit")


def compile_emulated(cache: Path, name: str, sources: list[Path]) -> Path:
    """Compile CUDA sources with the C++ compiler and the emulation; built anew when a source changes."""
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        pytest.skip(f"no C++ compiler {compiler}: set CXX")
    includes = [ROOT / "src", ROOT / "src/cpp", EMULATION, *cuda_headers()]
    python = [Path(pybind11.get_include()), Path(sysconfig.get_paths()["include"])]
    options = ["-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread", "-Wno-attributes"]
    options += [f"-DBOXWOOD_CUDA_MODULE={name}", f'-DBOXWOOD_VERSION="{boxwood.__version__}"']
    options += [word for folder in [*includes, *python] for word in ("-isystem", str(folder))]
    texts = [
        p.read_bytes()
        for folder in ("src/cuda", "src/cpp/math", "src/cpp/bindings", "tests/cuda_emulation")
        for p in sorted((ROOT / folder).rglob("*.*"))
    ]
    key = hashlib.sha256(b"\0".join([repr((compiler, options, sys.version)).encode(), *texts])).hexdigest()[
        :16
    ]
    library = cache / f"{name}-{key}.so"
    if not library.exists():
        unfinished = library.with_suffix(f".{os.getpid()}")
        emulated = ["-include", str(EMULATION / "cuda_emulation.h"), "-x", "c++"]
        command = [compiler, *options, *emulated, *map(str, sources), "-o", str(unfinished)]
        subprocess.run(command, check=True)
        unfinished.replace(library)
    return library


@pytest.fixture(scope="session")
def cuda_emulated(request: pytest.FixtureRequest) -> ModuleType:
    """The module `_cuda` with its kernels executed on the CPU."""
    sources = [
        ROOT / "src/cpp/bindings/cuda.cpp",
        EMULATION / "emulation.cpp",
        *sorted(ROOT.glob("src/cuda/*.cu")),
    ]
    cache = request.config.cache.mkdir("cuda_emulation")
    spec = importlib.util.spec_from_file_location(
        "_cuda_emulated", compile_emulated(cache, "_cuda_emulated", sources)
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wrong_kernels(request: pytest.FixtureRequest) -> ctypes.CDLL:
    """Kernels that the emulation must refuse."""
    sources = [EMULATION / "wrong_kernels.cu", EMULATION / "emulation.cpp"]
    cache = request.config.cache.mkdir("cuda_emulation")
    library = ctypes.CDLL(str(compile_emulated(cache, "wrong_kernels", sources)))
    library.read_unwritten.restype = ctypes.c_float
    return library


@pytest.fixture(scope="module", params=["baseline", "avx2", "avx512", "avx512bf16"])
def cpu_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The CPU kernels with each instruction set that was compiled and runs here."""
    before = _core.simd()
    if request.param not in _core.compiled_simd().split():
        pytest.skip(f"{request.param} was not compiled")
    if not _core.use_simd(request.param):
        pytest.skip(f"this processor does not run {request.param}")
    yield get_backend("cpu")
    _core.use_simd(before)


@pytest.fixture(scope="module", params=["emulated", "device"])
def cuda_backend(request: pytest.FixtureRequest) -> Backend:
    """The CUDA kernels, executed on the CPU and, where there is one, on a device."""
    if request.param == "emulated":
        return CudaBackend(request.getfixturevalue("cuda_emulated"))
    try:
        return get_backend("cuda")
    except boxwood.errors.InputError as error:
        pytest.skip(str(error))
