"""What the script that makes wheels refuses."""

import zipfile
from pathlib import Path

import build_wheel
import pytest


def wheel_with(folder: Path, name: str, content: bytes = b"") -> Path:
    wheel = folder / "boxwood-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, content)
    return wheel


@pytest.mark.parametrize("name", ["boxwood.libs/libgomp-1.so.1", "boxwood/_cuda.so", "boxwood/libopenblas.a"])
def test_a_wheel_with_libraries_is_refused(tmp_path, name):
    with pytest.raises(SystemExit, match="brings libraries along"):
        build_wheel.inspect(wheel_with(tmp_path, name))


def test_a_wheel_that_is_too_big_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(build_wheel, "LARGEST_MB", 0.5)
    with pytest.raises(SystemExit, match=r"at most 0\.5 are wanted"):
        build_wheel.inspect(wheel_with(tmp_path, "boxwood/data.bin", bytes(600_000)))


def test_a_wheel_of_the_package_alone_passes(tmp_path, capsys):
    build_wheel.inspect(wheel_with(tmp_path, "boxwood/__init__.py"))
    assert "1 files" in capsys.readouterr().out
