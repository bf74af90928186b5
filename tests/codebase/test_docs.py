"""The documentation: a site that builds without a warning, and examples that run as they stand."""

import importlib.util
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import boxwood
from boxwood.backends import Backend, get_backend
from boxwood.cli import main
from boxwood.io.class2d_posterior import read_posterior
from boxwood.jobs.cluster import ClusterSettings
from boxwood.jobs.registry import JOBS, load_job
from boxwood.jobs.rerun import rerun_job

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXECUTED = ("index.md", "tutorial.md", "mathematics.md")
# What makes commands with a word quick, put behind them: of an option given twice the last one counts.
SMALLER = {
    "demo": "--micrographs 2 --width 1200 --height 1200 --particles 15 --iterations 5",
    "simulate": "--micrographs 6 --width 1200 --height 1200 --particles 18 --snr 0.1",
    "template": "--angular-sampling 30",
    "run": "--classes 4 --iterations 5",
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("MkDocs is not installed: pip install 'boxwood[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page_and_nothing_else(site):
    pages = {page.stem for page in site.glob("*.html")}
    assert pages == {page.stem for page in DOCS.glob("*.md")} | {"404", "notebook"}
    assert not list(site.rglob("*.py"))


def test_the_site_loads_nothing_from_other_hosts(site):
    loaded = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^"' >]+""")
    texts = {page.name: page.read_text(encoding="utf-8") for page in site.glob("*.html")}
    assert {name: loaded.findall(text) for name, text in texts.items() if loaded.search(text)} == {}
    imported = re.compile(r"""@import\s*(?:url\()?["']?https?:|url\(["']?https?:""")
    assert [s.name for s in site.rglob("*.css") if imported.search(s.read_text(encoding="utf-8"))] == []


def test_the_reference_has_every_public_name(site):
    public = [getattr(boxwood, name) for name in boxwood.__all__ if name != "__version__"]
    public += [getattr(boxwood.simulate, name) for name in boxwood.simulate.__all__]
    public += [member for member in vars(boxwood.errors).values() if inspect.isclass(member)]
    text = (site / "api.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'<h\d id="boxwood\.(?:\w+\.)*(\w+)"', text))
    wanted = {thing.__name__ for thing in public if not inspect.ismodule(thing)}
    assert len(wanted) > 15
    assert wanted - shown == set()


KERNELS = [kernel for name, kernel in vars(Backend).items() if inspect.isfunction(kernel) and name[0] != "_"]
FUNCTIONS = [
    boxwood.pick_log, boxwood.extract_particles, boxwood.classify2d, boxwood.simulate_micrograph,
    boxwood.simulate_particles, boxwood.simulate.ctf_rows, boxwood.show, boxwood.Class2DParameters,
    boxwood.Project, boxwood.Project.job, ClusterSettings, rerun_job, read_posterior, get_backend, *KERNELS,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_docstrings_name_every_argument(function):
    text = inspect.getdoc(function)
    listed = re.findall(r"^\*{0,2}(\w+(?:, \w+)*)(?: : |$)", text, re.MULTILINE)
    listed += re.findall(r", (\w+) : ", text)  # several on one line, each with its type
    named = {name for names in listed for name in names.split(", ")}
    assert set(inspect.signature(function).parameters) - {"self"} <= named
    assert inspect.isclass(function) or re.search(r"^(Returns|Yields)\n-+$", text, re.MULTILINE)


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert {name: size for name, size in sizes.items() if size > 300_000} == {}
    assert sum(sizes.values()) < 5_000_000


def commands(block: str) -> list[list[str]]:
    """Lines of a shell, those that go on after a backslash joined, as words."""
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run_commands(block: str, folder: Path) -> Path:
    """Run commands from a folder; returns the one they end in."""
    for words in commands(block):
        os.chdir(folder)
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        assert words[0] == "boxwood", f"only boxwood is run here, not {words[0]}"
        smaller = [option for word in words if word in SMALLER for option in SMALLER[word].split()]
        assert main([*words[1:], *smaller]) == 0, shlex.join(words)
    return folder


@pytest.mark.parametrize("page", EXECUTED)
def test_examples_run(page, tmp_path, monkeypatch):
    """Blocks in their order: commands (bash) in a shell's folder, Python where it began."""
    monkeypatch.chdir(tmp_path)  # and back in the end
    text, shell, names = (DOCS / page).read_text(encoding="utf-8"), tmp_path, {}
    blocks = BLOCK.findall(text)
    assert "python" in {language for language, _ in blocks}
    for language, block in blocks:
        if language == "bash":
            shell = run_commands(block, shell)
        elif language == "python":
            os.chdir(tmp_path)
            exec(compile(block, page, "exec"), names)
        else:  # not run: what waits for a browser, or is another program's
            assert not re.search(r"^boxwood (?!ui\b)", block, re.MULTILINE), f"write ```bash:\n{block}"


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []  # small in git
    names: dict[str, object] = {}
    for number, cell in enumerate(code, 1):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)


def test_the_tutorials_tables_name_options_that_there_are():
    tables = re.findall(r"^\|.*$", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"`(?:[\w-]+ )?(--[\w-]+)", "\n".join(tables)))
    declared = [option for job in JOBS for option in load_job(job).options.declared() if not option.refused]
    assert len(named) > 50
    assert named - {f"--{option.name.replace('_', '-')}" for option in declared} == set()


def test_a_failing_example_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="autopick"):
        run_commands("boxwood autopick --micrographs \\\n  none.star --min-diameter 1", tmp_path)
