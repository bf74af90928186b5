"""Every backend a kernel can be tested on: the CPU's instruction sets, CUDA emulated on the CPU, CUDA."""

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pybind11
import pytest

import boxwood
from boxwood import _core
from boxwood.backends import Backend, get_backend
from boxwood.backends.devices import CudaBackend

ROOT = Path(__file__).parents[2]
EMULATION = ROOT / "tests/cuda_emulation"


def cuda_headers() -> list[Path]:
    """Folders with NVIDIA's headers: $CUDA_HOME, the usual places, or the wheels of the test extra.

    Headers of cuBLAS and cuFFT, which may be missing there, are replaced by the emulation's own.
    """
    toolkits = [
        Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")),
        *sorted(Path("/usr/local").glob("cuda-*")),
    ]
    wheels = Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    for folder in [*(t / "include" for t in toolkits), *sorted(wheels.glob("*/include"))]:
        if (folder / "cuda_runtime.h").exists() and (folder / "crt/host_defines.h").exists():
            return [folder, *folder.glob("cccl"), EMULATION / "headers"]
    pytest.skip("no CUDA headers: install the test extra, or set CUDA_HOME to a toolkit")


class Builder:
    """Compiles CUDA sources with the C++ compiler and the emulation; anew when a source changes."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.compiler = os.environ.get("CXX", "c++")
        if shutil.which(self.compiler) is None:
            pytest.skip(f"no C++ compiler {self.compiler}: set CXX")
        includes = [ROOT / "src", ROOT / "src/cpp", EMULATION, *cuda_headers()]
        python = [Path(pybind11.get_include()), Path(sysconfig.get_paths()["include"])]
        self.options = ["-std=c++17", "-O1", "-fPIC", "-pthread", "-Wno-attributes"]
        self.sanitizers = os.environ.get("BOXWOOD_SANITIZERS", "").split()  # see test_cuda_sanitizers.py
        self.options += [f'-DBOXWOOD_VERSION="{boxwood.__version__}"', "-DBOXWOOD_CUDA_MODULE=_cuda_emulated"]
        self.options += [word for folder in [*includes, *python] for word in ("-isystem", str(folder))]
        self._included: dict[Path, set[Path]] = {}

    def _files_of(self, source: Path) -> set[Path]:
        """The file and all of ours that it includes, one through the other."""
        if source not in self._included:
            self._included[source] = {source}
            for name in re.findall(r'^#include "(.+)"', source.read_text(), re.M):
                for folder in (ROOT / "src", ROOT / "src/cpp", EMULATION):
                    if (folder / name).exists():
                        self._included[source] |= self._files_of(folder / name)
        return self._included[source]

    def _made(self, name: str, contents: list[bytes], command: list[str]) -> Path:
        """What the command leaves at the end of its words, unless it is there already."""
        key = hashlib.sha256(b"\0".join([repr((command, sys.version)).encode(), *contents])).hexdigest()[:16]
        made = self.cache / f"{key}-{name}"
        with (self.cache / f"{key}.lock").open("w") as lock:  # tests may run in several processes
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                unfinished = made.with_suffix(".unfinished")
                subprocess.run([self.compiler, *command, "-o", str(unfinished)], check=True)
                unfinished.replace(made)
        return made

    def _object(self, source: Path) -> Path:
        emulated = ["-include", str(EMULATION / "cuda_emulation.h")] if "bindings" not in source.parts else []
        hidden = ["-fvisibility=hidden"] if "bindings" in source.parts else []
        # Bindings run once a call, and compile for long.
        special = [*hidden, "-O0"] if hidden else self.sanitizers
        command = ["-c", *self.options, *special, *emulated, "-x", "c++", str(source)]
        files = self._files_of(source) | self._files_of(EMULATION / "cuda_emulation.h")
        return self._made(f"{source.stem}.o", [p.read_bytes() for p in sorted(files)], command)

    def shared_object(self, name: str, sources: list[Path], with_libraries: list[Path]) -> Path:
        """A shared library of its own: its thread-local storage is the kernels' shared memory."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(self._object, sources))
        words = [*map(str, objects), *map(str, with_libraries), "-shared", "-pthread", "-Wl,-Bsymbolic"]
        words += self.sanitizers
        return self._made(f"{name}.so", [], words)


@pytest.fixture(scope="session")
def builder(request: pytest.FixtureRequest) -> Builder:
    return Builder(request.config.cache.mkdir("cuda_emulation"))


# Threads, blocks and streams in random order.
SEED = 2


class Emulation:
    """What tests can set in an emulation, see cuda_emulation_set in runtime.cpp."""

    emulated = True
    module: ModuleType

    def need(self, backend: str) -> None:
        """There are as many devices as a test sets."""

    def __init__(self, library: Path) -> None:
        self.functions = ctypes.CDLL(str(library))
        self.functions.cuda_emulation_set.argtypes = [ctypes.c_char_p, ctypes.c_long]
        self.functions.cuda_emulation_fault.restype = ctypes.c_char_p
        self.functions.cuda_emulation_sent_bytes.restype = ctypes.c_size_t
        self.functions.cuda_emulation_history.restype = ctypes.c_char_p

    def set(self, **settings: int) -> None:
        for name, value in settings.items():
            assert self.functions.cuda_emulation_set(name.encode(), value) == 0, name

    def sent_bytes(self) -> int:
        """Copied from the host to devices so far."""
        return self.functions.cuda_emulation_sent_bytes()

    def history(self) -> str:
        """What the host asked for since the last reset, a letter each: see `history` in runtime.cpp."""
        return self.functions.cuda_emulation_history().decode()

    def fault(self) -> str:
        """What was wrong with the last kernel that failed."""
        return self.functions.cuda_emulation_fault().decode()


@pytest.fixture(scope="session")
def cuda_library(builder: Builder) -> Path:
    sources = [*sorted(EMULATION.glob("*.cpp")), *sorted(ROOT.glob("src/cuda/*.cu"))]
    return builder.shared_object("kernels", sources, [])


@pytest.fixture
def cuda_emulation(cuda_library: Path) -> Iterator[Emulation]:
    """The settings of the emulation that runs `cuda_emulated`."""
    emulation = Emulation(cuda_library)
    emulation.set(reset=1, seed=SEED)
    yield emulation
    emulation.set(reset=1, seed=SEED)


@pytest.fixture(scope="session")
def cuda_emulated(builder: Builder, cuda_library: Path) -> ModuleType:
    """The module `_cuda` with its kernels executed on the CPU."""
    module = builder.shared_object("_cuda_emulated", [EMULATION / "bindings/module.cpp"], [cuda_library])
    spec = importlib.util.spec_from_file_location("_cuda_emulated", module)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    Emulation(cuda_library).set(seed=SEED)
    module.keep_memory(False)  # every array in memory of its own, so that leaving it is seen
    return module


@pytest.fixture(scope="session")
def wrong_kernel_library(builder: Builder) -> Path:
    return builder.shared_object(
        "wrong",
        [
            EMULATION / "wrong_kernels.cu",
            *(ROOT / "src/cuda" / name for name in ("memory.cu", "stages.cu")),
            *sorted(EMULATION.glob("*.cpp")),
        ],
        [],
    )


@pytest.fixture
def wrong(wrong_kernel_library: Path) -> Emulation:
    """Kernels that the emulation must refuse, on devices without a past."""
    emulation = Emulation(wrong_kernel_library)
    emulation.set(reset=1)
    emulation.functions.begin()
    for name in ("read_unwritten", "block_sum", "dynamic_shared_value", "static_shared_value"):
        getattr(emulation.functions, name).restype = ctypes.c_float
    for name in ("turns_of_two_streams", "staging_reused", "looked_at_too_early", "there_and_back"):
        getattr(emulation.functions, name).restype = ctypes.c_float
    return emulation


SIMD = ["baseline", "avx2", "avx512", "avx512bf16"]
CUDA = ["emulated", "device"]


@pytest.fixture(autouse=True)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[None]:
    """The instruction set that a test's parameters name, while it runs: kernels take it from the process."""
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    before = _core.simd()
    for name in parameters:
        if isinstance(name, str) and name in SIMD and not _core.use_simd(name):
            pytest.skip(f"{name} was not compiled, or this processor does not run it")
    yield
    _core.use_simd(before)


@pytest.fixture(scope="module", params=SIMD)
def cpu_backend(request: pytest.FixtureRequest) -> Backend:
    """The CPU kernels, with each instruction set that was compiled and runs here (`instruction_set`)."""
    return get_backend("cpu")


@pytest.fixture(scope="module", params=CUDA)
def cuda_backend(request: pytest.FixtureRequest) -> Backend:
    """The CUDA kernels, executed on the CPU and, where there is one, on a device."""
    if request.param == "emulated":
        return CudaBackend(request.getfixturevalue("cuda_emulated"))
    return cuda_device()


def cuda_device() -> Backend:
    """The first real device, or a skipped test."""
    try:
        backend = get_backend("cuda")
    except boxwood.errors.InputError as error:
        pytest.skip(str(error))
    # benchmarks/gpu.py asks for this under compute-sanitizer.
    if os.environ.get("BOXWOOD_TEST_KEEP_MEMORY") == "0":
        importlib.import_module("boxwood._cuda").keep_memory(False)
    return backend


@pytest.fixture(scope="module", params=[*SIMD, *CUDA])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each of both."""
    if request.param in SIMD:
        return get_backend("cpu")
    if request.param == "emulated":
        return CudaBackend(request.getfixturevalue("cuda_emulated"))
    return cuda_device()


class RealDevices:
    """Devices of this machine in place of emulated ones. What cannot be ordered of them skips a test."""

    emulated = False

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self._stores: list[int] = []

    def need(self, backend: str) -> None:
        """Skip where there are too few devices for a backend of this name."""
        there = len(self.module.device_names())
        if any(int(number) >= there for number in re.findall(r"\d+", backend)):
            pytest.skip(f"{backend} needs more than {there} devices")

    def set(self, **settings: int) -> None:
        """Leave `memory` free, or less, by having stores take all else."""
        for name, most in settings.items():
            if name != "memory":
                pytest.skip(f"{name} cannot be ordered of a real device")
            self.release()
            self.module.keep_memory(False)
            for device in range(len(self.module.device_names())):
                taken = most + 1
                while taken > most:  # half of what is free each, so as much is left
                    store, slots = self.module.make_image_store(2**31 - 1, 1024, device)
                    self._stores.append(store)
                    taken = slots * 1024 * 12

    def release(self) -> None:
        for store in self._stores:
            self.module.release_image_store(store)
        self._stores.clear()
        self.module.keep_memory(os.environ.get("BOXWOOD_TEST_KEEP_MEMORY") != "0")

    def sent_bytes(self) -> int:
        return 0  # nobody counts


@pytest.fixture(params=CUDA)
def devices(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulation | RealDevices]:
    """Three emulated devices that stand in for real ones; and the real ones, where there are any."""
    if request.param == "emulated":
        emulation = request.getfixturevalue("cuda_emulation")
        emulation.module = request.getfixturevalue("cuda_emulated")
        emulation.set(devices=3)
        monkeypatch.setattr("boxwood.backends.cuda.load_module", lambda: emulation.module)
        yield emulation
        return
    cuda_device()
    real = RealDevices(importlib.import_module("boxwood._cuda"))
    yield real
    real.release()
