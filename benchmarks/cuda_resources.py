"""Registers, shared memory and occupancy of every CUDA kernel, as NVIDIA's compiler reports them.

    python benchmarks/cuda_resources.py [--check]

Occupancy is computed from the limits of a multiprocessor, for the block each kernel is launched with and the
dynamic shared memory in the table. With --check, nothing is printed but kernels that spill registers, and
their number is the exit status.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARCHITECTURES = ("sm_80", "sm_90")
TARGETS = ("-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90,code=[sm_90,compute_90]")
# Of a multiprocessor: registers, threads, blocks, bytes of shared memory; a block costs 1 KB more.
REGISTERS, THREADS, BLOCKS = 65536, 2048, 32
SHARED = {"sm_80": 164 << 10, "sm_90": 228 << 10}
# Threads of a block and dynamic shared memory in bytes, where they are not 256 and 0: with 60 angles, rings
# of up to 216 samples, 81 offsets.
BLOCK = {"expectation_shift.weigh_kernel": 64, "extract_box.find_levels_kernel": 32}
DYNAMIC = {
    "expectation_shift.shift_kernel": 32 * 54 * 3 * 8,
    "expectation_likelihood.search_kernel": (2 * 60 * 32 + 256) * 8,
    "expectation_likelihood.evaluate_kernel": (2 * 60 * 32 + 256) * 8,
    "expectation_likelihood.harmonics_kernel": (2 * 60 * 32 + 256) * 8,
    "expectation_posterior.normalise_kernel": 81 * 4,
}


@dataclass(frozen=True)
class Kernel:
    """What one kernel needs on one architecture; bytes of spilled registers are those stored and loaded."""

    file: str
    name: str
    architecture: str
    registers: int
    shared_bytes: int
    spilled_bytes: int

    @property
    def threads(self) -> int:
        return BLOCK.get(f"{self.file}.{self.name}", 256)

    @property
    def dynamic_bytes(self) -> int:
        return DYNAMIC.get(f"{self.file}.{self.name}", 0)

    @property
    def occupancy(self) -> float:
        """Threads that fit a multiprocessor at once, of those it could have."""
        # Registers are given out by warps, in units of 256.
        of_warp = -(-self.registers * 32 // 256) * 256
        by_registers = REGISTERS // of_warp // (self.threads // 32)
        by_shared = SHARED[self.architecture] // (self.shared_bytes + self.dynamic_bytes + 1024)
        return min(by_registers, by_shared, BLOCKS, THREADS // self.threads) * self.threads / THREADS


def find_nvcc() -> str | None:
    """The compiler of CUDACXX, of the path, of PyPI's wheels, or of the usual place."""
    wheel = Path(sysconfig.get_path("purelib")) / "nvidia/cu13/bin/nvcc"
    places = (os.environ.get("CUDACXX", ""), "nvcc", str(wheel), "/usr/local/cuda/bin/nvcc")
    return next((found for found in map(shutil.which, places) if found), None)


def kernels_of(source: Path, nvcc: str) -> list[Kernel]:
    """Compile one file for all that a build compiles for; headers of cuBLAS and cuFFT are the emulation's."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-fatbin", *TARGETS, "-std=c++17", "-O3", "-Xptxas", "-v"]
        command += [f"-I{ROOT / part}" for part in ("src", "src/cpp", "tests/cuda_emulation/headers")]
        command += [str(source), "-o", f"{folder}/out.fatbin"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    found = []
    for part in done.stderr.split("Compiling entry function '")[1:]:
        name, architecture = plain_name(part.split("'")[0]), part.split("'")[2]
        spills = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        shared = re.search(r"(\d+) bytes smem", part)
        registers = int(re.search(r"Used (\d+) registers", part)[1])
        found.append(
            Kernel(source.stem, name, architecture, registers, int(shared[1]) if shared else 0, spills)
        )
    return found


def plain_name(mangled: str) -> str:
    """The function's own name, without namespaces, template arguments and parameters."""
    full = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout
    full = full.replace("(anonymous namespace)", "")
    return re.search(r"(\w+)(<[^(]*>)?\(", full)[1]


def all_kernels(nvcc: str) -> list[Kernel]:
    sources = sorted(ROOT.glob("src/cuda/*.cu"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [kernel for found in pool.map(lambda s: kernels_of(s, nvcc), sources) for kernel in found]


def compiler_version(nvcc: str) -> str:
    """As in "13.0.88"."""
    told = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([\d.]+)", told)[1]


def table(kernels: list[Kernel]) -> list[str]:
    """The table of docs/cuda.md, a row for each kernel."""
    rows = []
    for first in (k for k in kernels if k.architecture == ARCHITECTURES[0]):
        pair = [k for k in kernels if (k.file, k.name) == (first.file, first.name)]
        pair.sort(key=lambda k: k.architecture)
        rows.append(
            f"| {first.file}: {first.name.removesuffix('_kernel')} | {first.threads} | "
            f"{first.dynamic_bytes / 1024:.1f} | {' / '.join(str(k.registers) for k in pair)} | "
            f"{first.shared_bytes} | {' / '.join(f'{100 * k.occupancy:.0f} %' for k in pair)} |"
        )
    return sorted(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="only name kernels that spill registers")
    check = parser.parse_args().check
    nvcc = find_nvcc()
    if nvcc is None:
        raise SystemExit(
            "no nvcc: set CUDACXX, or pip install 'cuda-toolkit[nvcc,cudart,cccl,crt,nvvm]==13.0.*'"
        )
    kernels = all_kernels(nvcc)
    spilling = [k for k in kernels if k.spilled_bytes]
    for k in spilling:
        print(
            f"{k.name} in {k.file}.cu spills {k.spilled_bytes} bytes of registers on {k.architecture}",
            file=sys.stderr,
        )
    if check:
        return len(spilling)
    print(f"nvcc {compiler_version(nvcc)}:\n")
    print(
        "| kernel | threads | dynamic shared, KB | registers sm_80 / sm_90 | static shared, B | "
        "occupancy sm_80 / sm_90 |"
    )
    print("|---|---|---|---|---|---|")
    print("\n".join(table(kernels)))
    return len(spilling)


if __name__ == "__main__":
    sys.exit(main())
