"""Fixtures for every test: where the real data are."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("BOXWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, or a skipped test."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA} (set BOXWOOD_DATA)")
    return DATA
