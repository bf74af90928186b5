"""The script that anyone can start on his machine."""

import json
import os
import subprocess
import sys

import pytest
import run


@pytest.mark.slow
def test_machines_can_be_compared_where_there_is_no_peer(tmp_path):
    done = subprocess.run(
        [sys.executable, run.__file__, "--quick", "--out", tmp_path],
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "results.json").read_text())["figures"]
    assert {
        "LoG picking",
        "extraction",
        "Class2D",
        "an iteration of 500 particles",
        "public 2D benchmark",
    } == {figure["step"].split(",")[0] for figure in figures}
    assert all(figure["boxwood"] > 0 and figure["peer"] is None for figure in figures)
    table = (tmp_path / "results.md").read_text()
    assert table in done.stdout and all(
        f"| {figure['step']} | {figure['unit']} |" in table for figure in figures
    )
