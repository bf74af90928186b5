"""Time reading and writing a long particles.star beside the starfile package, after checking the answer.

python benchmarks/bench_star.py [--rows 1000000] [--no-peer]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import starfile

from boxwood.io.star import read_star, write_star


def particles(rows: int) -> pd.DataFrame:
    """20 columns as extraction and 2D classification leave them, 300 particles a micrograph."""
    rng = np.random.default_rng(0)
    micrograph = np.arange(rows) // 300
    table = pd.DataFrame(
        {
            "rlnCoordinateX": rng.uniform(0, 4000, rows),
            "rlnCoordinateY": rng.uniform(0, 4000, rows),
            "rlnAutopickFigureOfMerit": rng.uniform(0, 1, rows),
            "rlnClassNumber": rng.integers(1, 50, rows),
            "rlnAnglePsi": rng.uniform(-180, 180, rows),
            "rlnImageName": [
                f"{i % 300 + 1:06d}@Extract/job007/Movies/{i // 300:08d}.mrcs" for i in range(rows)
            ],
            "rlnMicrographName": [f"MotionCorr/job002/Movies/{m:08d}.mrc" for m in micrograph],
            "rlnOpticsGroup": 1,
            "rlnCtfMaxResolution": rng.uniform(3, 6, rows)[micrograph],
            "rlnCtfFigureOfMerit": rng.uniform(0, 1, rows)[micrograph],
            "rlnDefocusU": rng.uniform(5e3, 3e4, rows)[micrograph],
            "rlnDefocusV": rng.uniform(5e3, 3e4, rows)[micrograph],
            "rlnDefocusAngle": rng.uniform(0, 180, rows)[micrograph],
            "rlnCtfBfactor": 0.0,
            "rlnCtfScalefactor": 1.0,
            "rlnPhaseShift": 0.0,
            "rlnOriginXAngst": rng.normal(0, 5, rows),
            "rlnOriginYAngst": rng.normal(0, 5, rows),
            "rlnLogLikeliContribution": rng.uniform(1e5, 2e5, rows),
            "rlnNrOfSignificantSamples": rng.integers(1, 100, rows),
        }
    )
    return table


# The peak in MiB of a process that does nothing but read the file named.
PEAK = """
import resource, sys
from boxwood.io.star import read_star
read_star(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def timed(label: str, work: Callable[[], Any]) -> Any:
    """Run once, print wall and processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    print(f"{label:16s} {time.perf_counter() - wall:8.2f} s wall {time.process_time() - cpu:8.2f} s CPU")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    table = particles(arguments.rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "particles.star"
        timed("boxwood write", lambda: write_star(path, {"particles": table}))
        print(f"{path.stat().st_size / 1e6:.0f} MB, {len(table)} rows, {len(table.columns)} columns")
        back = timed("boxwood read", lambda: read_star(path))["particles"]
        peak = subprocess.run([sys.executable, "-c", PEAK, path], check=True, capture_output=True, text=True)
        held = table.memory_usage(deep=True).sum() / 2**20
        print(f"a process that reads it has {int(peak.stdout)} MiB at most, of which the table is {held:.0f}")
        for label in table:
            if table[label].dtype.kind in "if":  # the format keeps five decimals, or six digits
                np.testing.assert_allclose(back[label], table[label], rtol=5.1e-6, atol=5.1e-6)
            else:
                assert (back[label] == table[label]).all(), label
        if not arguments.no_peer:
            timed("starfile read", lambda: starfile.read(path))
            timed("starfile write", lambda: starfile.write({"particles": table}, Path(folder) / "peer.star"))


if __name__ == "__main__":
    main()
