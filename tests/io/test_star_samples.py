"""Real STAR files of RELION 1 to 5 and of other programs."""

import re

import numpy as np
import pandas as pd
import pytest
import starfile

from boxwood.errors import FileFormatError
from boxwood.io.star import ends_too_soon, read_star
from boxwood.io.star_format import format_table, table_header
from boxwood.io.star_parse import parse_star

# RELION 3's coords_suffix files end in .star and hold the name of one; `io.coordinates` reads them.
NO_STAR = re.compile("coords_suffix_")
# Nearly empty classes: RELION prints the sign of a NaN, which carries nothing and is not kept.
SIGNED_NAN = b"-nan"
# starfile fails on tabs inside values and on rows that lack their last column.
STARFILE_FAILS = {"Class2D/job008/job.star", "Class2D/job013/job.star", "default_pipelines/no_input.star"}


@pytest.fixture(scope="module")
def samples(shared_data):
    """Every STAR file there is, read."""
    paths = [path for path in sorted(shared_data.rglob("*.star")) if not NO_STAR.match(path.name)]
    return {path: read_star(path) for path in paths}


def test_every_file_reads(samples, shared_data):
    assert len(samples) > 200
    for path, tables in samples.items():
        assert bool(tables) == bool(path.stat().st_size), path
    for path in shared_data.rglob("coords_suffix_*.star"):
        with pytest.raises(FileFormatError, match="expected a line data_NAME"):
            read_star(path)


def test_no_file_is_taken_for_cut_off(shared_data):
    assert not [path for path in shared_data.rglob("*.star") if ends_too_soon(path)]


def relion_wrote(raw):
    """Whether RELION itself wrote the file, untouched: others differ in white space."""
    return raw.startswith((b"\n# version ", b"# RELION")) and b"\n# version " in raw and b"loop_\n" not in raw


def text_of(tables, dialect="3.1"):
    """What `write_star` puts into a file, without the file: forcing hundreds to disk takes long."""
    pieces = [
        table_header(name, dialect) + "".join(format_table(name, table))
        for name, table in tables.items()
        if len(table)
    ]
    return "".join(pieces).encode()


def test_what_relion_wrote_is_written_back_byte_for_byte(samples):
    same = 0
    for path, tables in samples.items():
        raw = path.read_bytes()
        # Edited by hand or by other programs: table ends, columns numbered from 0, tabs.
        edited = {"star_misc", "star_corner_cases", "jobs_spa", "default_pipelines", "job_pipelines"}
        if not relion_wrote(raw) or edited & set(path.parts):
            continue
        dialect = "5" if b"# version 50001" in raw else "3.1"
        comments = [line[2:] for line in raw.decode().split("\n\n")[0].split("\n")] if raw[0] == 35 else []
        out = "".join(f"# {line}\n" for line in comments).encode() + text_of(tables, dialect)
        if b"__\t__" in raw:  # a tab inside a value, which must be quoted to be one value
            out = re.sub(rb'"(\S*__\t__\S*)"', rb"\1", out)
        assert out == raw.replace(SIGNED_NAN, b" nan"), path
        same += 1
    assert same > 130


def test_reading_back_what_was_written_changes_nothing(samples):
    """Also for files of other programs, up to the digits RELION's format keeps."""
    for path, tables in samples.items():
        once = text_of(tables)
        again = parse_star(once, path.name)
        assert text_of(again) == once, path
        assert [name for name, table in tables.items() if len(table)] == list(again)


def same_values(ours, theirs):
    """Whether starfile's value is ours, which may be better typed."""
    if isinstance(ours, str):
        if isinstance(theirs, str) or ours == "":  # starfile takes empty text for a missing number
            return ours == theirs or np.isnan(theirs)
        return float(ours) == pytest.approx(theirs, rel=1e-12, nan_ok=True)
    return ours == pytest.approx(theirs, rel=1e-12, nan_ok=True)


def test_starfile_reads_the_same_values(samples):
    compared = 0
    for path, ours in samples.items():
        if not 0 < path.stat().st_size < 150_000:  # starfile is slow
            continue
        if any(path.as_posix().endswith(name) for name in STARFILE_FAILS):
            continue
        theirs = starfile.read(path, always_dict=True)
        assert list(ours) == list(theirs), path
        for name, table in ours.items():
            other = theirs[name]
            if isinstance(table, pd.DataFrame):
                assert list(table) == list(other), (path, name)
                for label in table:
                    if table[label].dtype.kind in "if":
                        np.testing.assert_allclose(table[label], other[label].astype(float), rtol=1e-12)
                    elif "'" not in "".join(table[label]):  # starfile turns apostrophes into quotes
                        pairs = zip(table[label], other[label], strict=True)
                        assert all(same_values(*pair) for pair in pairs), (path, label)
            elif table:
                assert all(same_values(table[label], other[label]) for label in other), (path, name)
            compared += 1
    assert compared > 500
