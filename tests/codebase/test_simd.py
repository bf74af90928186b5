"""Code for a newer processor must never run on an older one, and the choice can be forced."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from boxwood import _core

ROOT = Path(__file__).parents[2]
X86 = platform.machine() in ("x86_64", "AMD64")


def shared_symbols(objects: list[Path], simd: str) -> list[str]:
    """Symbols the linker could share with code compiled for another instruction set.

    A defined symbol is safe if it is local, or if its name mentions the namespace of the instruction set. The
    weak data reference to the exception personality holds an address and no code.
    """
    listing = subprocess.run(
        ["nm", "--defined-only", "--extern-only", "--demangle", "--format=posix", *objects],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    names = [re.split(r" [A-Za-z] ", line)[0] for line in listing.splitlines() if not line.endswith(":")]
    return [n for n in names if n and f"boxwood::{simd}::" not in n and n != "DW.ref.__gxx_personality_v0"]


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm (binutils)")
@pytest.mark.parametrize("simd", ["baseline", "avx2", "avx512", "avx512bf16"])
def test_kernel_objects_share_no_symbol(simd):
    objects = sorted(ROOT.glob(f"build/**/kernels_{simd}.dir/**/*.o"))
    if not objects:
        pytest.skip(f"no objects of {simd} under build/: build with pip or CMake in this folder")
    assert shared_symbols(objects, simd) == []


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm (binutils)")
def test_a_shared_symbol_is_found(tmp_path):
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        pytest.skip(f"no C++ compiler {compiler}: set CXX")
    source = tmp_path / "wrong.cpp"
    source.write_text(
        "template <class T> __attribute__((noinline)) T twice(T x) { return x + x; }\n"
        "namespace boxwood { namespace avx2 { int f(int x) { return twice(x); } } }\n"
    )
    subprocess.run([compiler, "-c", source, "-o", tmp_path / "wrong.o"], check=True)
    assert shared_symbols([tmp_path / "wrong.o"], "avx2") == ["int twice<int>(int)"]


def chosen_with(simd: str) -> subprocess.CompletedProcess:
    code = "import boxwood.backends.cpu; from boxwood import _core; print(_core.simd())"
    environment = {**os.environ, "BOXWOOD_SIMD": simd}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("simd", ["baseline", "avx2", "avx512", "avx512bf16"])
def test_the_variable_forces_an_instruction_set_or_says_why_not(simd):
    done = chosen_with(simd)
    if simd in _core.runnable_simd().split():
        assert done.stdout.split() == [simd]
    else:
        assert done.returncode != 0
        assert f"BOXWOOD_SIMD={simd} is not available" in done.stderr


def test_an_unknown_instruction_set_is_refused():
    done = chosen_with("mmx")
    assert done.returncode != 0
    assert "BOXWOOD_SIMD=mmx is not available: compiled are baseline" in done.stderr


@pytest.mark.skipif(not X86, reason="only x86 has several instruction sets")
def test_an_installed_package_has_every_instruction_set():
    if Path(_core.__file__).is_relative_to(ROOT / "src"):
        pytest.skip("built in place, with the instruction sets the developer chose")
    assert _core.compiled_simd().split() == ["baseline", "avx2", "avx512", "avx512bf16"]
    assert "baseline" in _core.runnable_simd().split()
