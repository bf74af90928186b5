"""What is shipped, and what it says of itself."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import boxwood
from boxwood import _core

ROOT = Path(__file__).parents[2]


def stated_version() -> str:
    return re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]


def test_one_version_everywhere():
    assert boxwood.__version__ == stated_version()
    assert _core.__version__ == stated_version()
    assert f"\nversion: {stated_version()}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_changelog_begins_with_this_version():
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == stated_version()


def test_links_between_documents_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    targets = [(p, link) for p in pages for link in re.findall(r"\]\((?!http)([^)#]+)", p.read_text())]
    assert len(targets) > 5
    assert [(p.name, link) for p, link in targets if not (p.parent / link).exists()] == []


def test_the_layers_import_downwards_only():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_backends_import_compiled_modules():
    importing = re.compile(
        r"^\s*(from boxwood import .*_(core|cuda)\b|(from|import) boxwood\._(core|cuda)\b)", re.MULTILINE
    )
    package = ROOT / "src/python/boxwood"
    users = {
        str(p.relative_to(package).parts[0]) for p in package.rglob("*.py") if importing.search(p.read_text())
    }
    assert users == {"backends", "__init__.py"}  # the latter for the version of a source tree


def test_the_source_distribution_holds_what_is_tracked(tmp_path):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    build = f"from scikit_build_core.build import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        shipped = {name.split("/", 1)[1] for name in archive.getnames()}
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    tracked = {name for name in listing.splitlines() if (ROOT / name).exists()}
    assert shipped - tracked == {"PKG-INFO"}
    assert tracked - shipped == set()


def test_the_installed_package_holds_only_the_package():
    if Path(boxwood.__file__).is_relative_to(ROOT / "src"):
        pytest.skip("not installed: running from the source tree")
    files = [str(f) for f in importlib.metadata.files("boxwood")]
    own = re.compile(
        r"boxwood/.*\.(py|pyi|pyc)|boxwood/web/static/.*\.(js|css|html|svg)"
        r"|boxwood/py\.typed|boxwood/_(core|cuda)\..*so|.*/bin/boxwood"
    )
    metadata = re.compile(r"boxwood-[^/]*\.dist-info/.*")
    assert [f for f in files if not own.fullmatch(f) and not metadata.fullmatch(f)] == []
    assert any(f.startswith("boxwood/_core.") for f in files)


def test_nothing_that_is_read_is_executed():
    """No pickle, no eval, no shell: a file of somebody else's is data."""
    dangerous = re.compile(
        r"\b(pickle|marshal|shelve)\.|import (pickle|marshal|shelve)\b|allow_pickle=True|shell=True"
        r"|(?<![\w.])(eval|exec)\("
    )
    files = list((ROOT / "src/python").rglob("*.py"))
    assert len(files) > 100
    assert [p.name for p in files if dangerous.search(p.read_text(encoding="utf-8"))] == []
