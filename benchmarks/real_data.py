"""Where the real data are that benchmarks and some tests look at: $BOXWOOD_DATA, or beside the project."""

import os
from pathlib import Path

DATA = Path(os.environ.get("BOXWOOD_DATA", Path(__file__).parents[2] / "shared" / "data"))
