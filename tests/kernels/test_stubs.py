"""The hand-written stubs beside the compiled modules name what the modules hold, no more and no less."""

import ast
import types
from pathlib import Path

import boxwood
from boxwood import _core


def stated(name: str) -> dict[str, list[str] | None]:
    """Names in a stub; for functions with the names of the arguments that have one."""
    tree = ast.parse((Path(boxwood.__file__).parent / f"{name}.pyi").read_text())
    functions = {n.name: [a.arg for a in n.args.args] for n in tree.body if isinstance(n, ast.FunctionDef)}
    return functions | {n.target.id: None for n in tree.body if isinstance(n, ast.AnnAssign)}


def check(module: types.ModuleType, stub: str) -> None:
    held = {n for n in vars(module) if not n.startswith("__")} | {"__version__"}
    names = stated(stub)
    assert held == set(names)
    for name, arguments in names.items():
        # pybind11 writes the signature into the first line of the docstring; arg0 stands for a nameless one
        text = (getattr(module, name).__doc__ or "").split("->")[0]
        if arguments and "arg0" not in text:
            assert all(f"{argument}:" in text for argument in arguments), (name, text)


def test_stub_of_the_cpu_module():
    check(_core, "_core")


def test_stub_of_the_cuda_module(cuda_emulated):
    check(cuda_emulated, "_cuda")
