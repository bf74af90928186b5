"""Finds the modules beside it, and the small project of tests/jobs."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "jobs"):
    sys.path.insert(0, str(folder))
