"""Everything to be known of boxwood on the GPU of this machine: build, test, look for faults, measure.

    python benchmarks/gpu.py [--without build tests sanitizer benchmark] [--images 4096 ...]

Builds the modules in place with CUDA, runs the kernels' tests on the device, again under compute-sanitizer's
tools where it is installed, and then bench_cuda.py, which is given the other words. It goes on after a step
that fails; the exit status is the number of those.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = ("build", "tests", "sanitizer", "benchmark")
# Without a device these tests would all be skipped, and nobody would notice.
DEVICE = "from boxwood.backends import get_backend; get_backend('cuda')"
# By the parameter: what has the word in its name only needs the emulation, whose compilation takes minutes.
PYTEST = ["-m", "pytest", "-q", "-k", "[device or -device"]
TESTS = [*PYTEST, "tests/kernels"]
# A tool makes kernels some ten to a hundred times slower.
KERNELS = ("ctf", "log_pick", "extract", "polar", "expectation")
FILES = [path for kernel in KERNELS for path in sorted((ROOT / "tests/kernels").glob(f"test_{kernel}*.py"))]
SANITIZED = [*PYTEST, *(str(path.relative_to(ROOT)) for path in FILES)]
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")


def commands(steps: list[str], words: list[str]) -> list[list[str]]:
    """What each step runs, in the project's folder."""
    python = sys.executable
    found = []
    if "build" in steps:
        place = [f"-DPython_EXECUTABLE={python}", "-DBOXWOOD_IN_PLACE=ON", "-DBOXWOOD_CUDA=ON"]
        found.append(["cmake", "-S", ".", "-B", "build/gpu", "-DCMAKE_BUILD_TYPE=Release", *place])
        found.append(["cmake", "--build", "build/gpu", "--parallel", str(os.cpu_count())])
    found.append([python, "-c", DEVICE])
    if "tests" in steps:
        found.append([python, *TESTS])
    if "sanitizer" in steps:
        sanitizer = shutil.which("compute-sanitizer", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
        if sanitizer is None:
            print("compute-sanitizer is not installed: nothing was looked for with it", file=sys.stderr)
        else:
            exit_code = ["--error-exitcode", "1", "--target-processes", "all"]
            found += [[sanitizer, "--tool", tool, *exit_code, python, *SANITIZED] for tool in TOOLS]
    if "benchmark" in steps:
        found.append([python, "benchmarks/bench_cuda.py", *words])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--without", nargs="+", choices=STEPS, default=[])
    options, words = parser.parse_known_args()
    failed = 0
    for command in commands([step for step in STEPS if step not in options.without], words):
        print("+", " ".join(command), flush=True)
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src/python")}
        if "--tool" in command:  # so that each array has memory of its own, whose bounds the tool knows
            environment["BOXWOOD_TEST_KEEP_MEMORY"] = "0"
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if status:
            print(f"this failed, with status {status}", flush=True)
            failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
