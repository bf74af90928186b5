"""Fuzz the readers of files, guided by coverage: needs `pip install atheris`.

    python tests/faults/fuzz_readers.py star --runs 100000 [--seed N]

KIND is star, mrc, tiff, cs, box or text. Every input has to be read, or refused by a `BoxwoodError` that
names the file; another exception, half a minute or a gigabyte of memory end the run, and the input is kept in
the current folder. The corpus is made here: small files, each feature once.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

SUFFIXES = {"star": ".star", "mrc": ".mrc", "tiff": ".tif", "cs": ".cs", "box": ".box", "text": ".txt"}
MEMORY_MB, SECONDS = 1024, 30


def corpus(kind):
    """Files to begin with."""
    from boxwood.io.exchange.cryosparc import write_dataset
    from boxwood.io.mrc import write_stack

    images = np.arange(3 * 6 * 8, dtype=np.float32).reshape(3, 6, 8)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "a"
        if kind == "star":
            yield from (STAR, STAR.replace(b"\n", b"\r\n"), b"data_\n_rlnJobType 5\n", b"")
        elif kind == "mrc":
            for half in (False, True):
                write_stack(made, images, 2.0, float16=half)
                yield made.read_bytes()
        elif kind == "tiff":
            import tifffile

            for options in ({}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}):
                target = io.BytesIO()
                tifffile.imwrite(target, images.astype(np.uint16), photometric="minisblack", **options)
                yield target.getvalue()
        elif kind == "cs":
            write_dataset(
                made, {"uid": np.arange(3, dtype=np.uint64), "blob/path": np.array(["a", "b", "c"])}
            )
            yield made.read_bytes()
        else:
            yield from (
                b"1\t2\t8\t8\n3\t4\t8\t8\n",
                b"x,y,score\n1.5,2,0.3\n",
                b"# c\n1 2\n",
                b"1;2;8;8;0.5\n",
            )


STAR = b"""# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_unknown #3
"optics Group1" 1 x
'b' nan 0.5

data_job
_rlnJobOptionValue "30 degrees" # comment
"""


def reader(kind):
    """The function that reads a file of this kind."""
    if kind == "star":
        from boxwood.io.star import read_star as read
    elif kind == "cs":
        from boxwood.io.exchange.cryosparc import read_dataset as read
    elif kind == "box":
        from boxwood.io.exchange.text import read_box as read
    elif kind == "text":
        from boxwood.io.exchange.text import read_text as read
    else:
        from boxwood.io.mrc import read_stack

        def read(path):
            return read_stack(path)[0]

    return read


def one_input(read, path):
    """The function that is fuzzed."""
    from boxwood.errors import BoxwoodError

    def run(data):
        path.write_bytes(data)
        try:
            read(path)
        except BoxwoodError as error:
            if path.name not in str(error) or "\n" in str(error):
                raise AssertionError(f"not one sentence that names the file: {error}") from error

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(SUFFIXES))
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    import atheris

    logging.disable()  # tifffile's, of every damaged tag
    with atheris.instrument_imports(include=["boxwood", "tifffile", "mrcfile"]):
        import boxwood.io.exchange.cryosparc
        import boxwood.io.exchange.text
        import boxwood.io.mrc
        import boxwood.io.star  # noqa: F401
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(corpus(given.kind)):
            (Path(folder) / str(number)).write_bytes(data)
        options = [f"-runs={given.runs}", f"-seed={given.seed}", f"-timeout={SECONDS}", "-max_len=4096"]
        options += [f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"]
        path = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}{SUFFIXES[given.kind]}"
        run = one_input(reader(given.kind), path)
        atheris.Setup([sys.argv[0], *options, folder], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
