"""Whatever a file holds, it is read or refused in one sentence."""

import io
import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError
from boxwood.io import star_parse
from boxwood.io.labels import LABELS
from boxwood.io.star_format import format_table, table_header
from boxwood.io.star_parse import parse_star

SEED = b"""# comment

# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnVoltage #3
_unknown #4
"optics Group1"            1   300.000000  x
opticsGroup2            2   nan  0.5


data_job

_rlnJobType      5
_rlnJobOptionValue "30 degrees"

data_particles
loop_
_rlnImageName #1
_rlnCoordinateX #2
_rlnClassNumber #3
000001@data_a/b.mrcs -12.5 3
000002@a/b.mrcs 1e5 4 # end
"""


@pytest.fixture(scope="module")
def monkeypatch_module():
    """One patcher for all of a property's examples."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def read_or_refuse(data):
    try:
        tables = parse_star(data, "fuzz.star")
    except FileFormatError as error:
        assert str(error).startswith("fuzz.star")
        assert "\n" not in str(error)
        return
    for table in tables.values():
        assert isinstance(table, (dict, pd.DataFrame))


@given(st.binary(max_size=400))
def test_any_bytes(data):
    read_or_refuse(data)


marks = [b"\n", b"\r", b"\t", b" ", b'"', b"'", b"#", b"_", b"data_", b"loop_", b";"]
pieces = st.sampled_from([*SEED.split(b"\n"), *SEED.split(), *marks])


@given(st.lists(pieces | st.sampled_from([b"\n", b" "]), max_size=60))
def test_any_order_of_its_pieces(parts):
    read_or_refuse(b"".join(parts))


@given(
    st.integers(0, len(SEED)),
    st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=8),
)
def test_truncated_and_changed_bytes(length, changes):
    data = bytearray(SEED)
    for position, byte in changes:
        data[position] = byte
    read_or_refuse(bytes(data[:length]))


def test_long_lines_of_quotes_take_linear_time():
    """An open quote must not make the reader look through the rest of the line for every value."""
    read_or_refuse(b"data_\nloop_\n_a\n_b\n" + b"'a \"b " * 20000)


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).filter(
    lambda value: not ('"' in value and "'" in value) and len(value.splitlines()) < 2
)
finite = st.floats(allow_nan=False)
columns = {"str": text, "float": finite, "int": st.integers(-(2**53), 2**53), "bool": st.booleans()}


@st.composite
def frames(draw):
    labels = draw(st.lists(st.sampled_from(sorted(LABELS)), min_size=1, max_size=5, unique=True))
    rows = draw(st.integers(1, 6))
    values = {
        label: draw(st.lists(columns[LABELS[label].kind], min_size=rows, max_size=rows)) for label in labels
    }
    return pd.DataFrame(values)


@given(frames())
def test_what_is_written_is_read_back(table):
    data = (table_header("t", "5") + "".join(format_table("t", table))).encode()
    back = parse_star(data, "x")["t"]
    assert list(back) == list(table)
    for label in table:
        if LABELS[label].kind == "str":
            assert back[label].tolist() == table[label].tolist()
        elif LABELS[label].kind == "float":
            # %12.5f and %12.5e keep 5 decimals; what is longer than 12 characters loses one more.
            np.testing.assert_allclose(back[label], table[label], rtol=5.1e-6, atol=5.1e-6)
        else:
            assert back[label].astype(float).tolist() == table[label].astype(float).tolist()


names = st.text(string.ascii_letters, min_size=1, max_size=8).map("rlnComment".__add__)


@given(st.dictionaries(names | st.sampled_from(["rlnComment", "rlnJobOptionValue"]), text, max_size=5))
def test_lists_are_read_back(values):
    data = (table_header("l", "3.1") + "".join(format_table("l", values))).encode() if values else b""
    back = parse_star(data, "x").get("l", {})
    assert list(back) == list(values)
    for label, value in values.items():
        # a text that looks like a number is one under a label nobody knows
        number = label not in LABELS and isinstance(back[label], float | int)
        assert (number and str(float(value)) == str(float(back[label]))) or back[label] == value


@given(st.integers(-(10**18), 10**18), finite)
def test_numbers_under_unknown_labels_are_read_back(whole, fraction):
    data = (table_header("l", "3.1") + "".join(format_table("l", {"a": whole, "b": fraction}))).encode()
    back = parse_star(data, "x")["l"]
    assert back["a"] == whole
    np.testing.assert_allclose(back["b"], fraction, rtol=5.1e-6, atol=5.1e-6)


@given(frames())
def test_long_loops_are_read_as_short_ones(monkeypatch_module, table):
    """pandas' parser and ours agree on types and values."""
    data = (table_header("t", "5") + "".join(format_table("t", table))).encode()
    short = parse_star(data, "x")["t"]
    with monkeypatch_module.context() as patch:
        patch.setattr(star_parse, "_SHORT", 0)
        long = parse_star(data, "x")["t"]
    pd.testing.assert_frame_equal(long, short, check_exact=False, rtol=1e-15)


ROWS = "".join(f"{i:06d}@data_a/{i // 7}.mrcs {i / 8:.6f} {i % 5}\n" for i in range(300))
LONG = f"data_job\n\n_rlnJobType 5\n\ndata_t\nloop_\n_rlnImageName\n_rlnAnglePsi\n_rlnClassNumber\n{ROWS}"


@pytest.fixture
def small_pieces(monkeypatch):
    for name, value in {"_HEAD": 1000, "_PIECE": 300, "_ROWS": 50, "_SHORT": 0}.items():
        monkeypatch.setattr(star_parse, name, value)


def test_a_file_that_ends_with_a_long_loop_is_read_in_pieces(small_pieces, monkeypatch):
    expected = parse_star(LONG.encode(), "x")
    monkeypatch.delattr(star_parse, "parse_star")  # which needs all of it
    found = star_parse.parse_star_file(io.BytesIO(LONG.encode() + b" \n\n"), "x")
    assert found["job"] == expected["job"] and found["t"]["rlnClassNumber"].dtype == np.int64
    pd.testing.assert_frame_equal(found["t"], expected["t"])


@pytest.mark.parametrize(
    ("line", "other"),
    [
        pytest.param(200, "000001@'a b'.mrcs 1 1", id="quote"),
        pytest.param(200, "# a comment", id="comment"),
        pytest.param(200, "000001@a.mrcs 1 1\r", id="other end of a line"),
        pytest.param(200, "000001@ä.mrcs 1 1", id="not ASCII"),
        pytest.param(250, "000001@a.mrcs 1 2.5", id="fraction"),
        pytest.param(250, "000001@a.mrcs 1", id="short row"),
        pytest.param(250, "000001@a.mrcs 1 2 3", id="long row"),
        pytest.param(250, "000001@a.mrcs b 2", id="no number"),
        pytest.param(250, "\0", id="binary"),
        pytest.param(300, "\n  data_u\n_a 1", id="further table"),
        pytest.param(20, "\ndata_u\nloop_\n_rlnImageName\n_rlnAnglePsi\n_rlnClassNumber", id="early table"),
    ],
)
def test_what_turns_up_in_a_later_piece_is_read_or_refused_as_ever(small_pieces, line, other):
    lines = LONG.split("\n")
    at = len(lines) - 301 + line
    data = "\n".join([*lines[:at], other, *lines[at:]]).encode()
    try:
        expected = parse_star(data, "x")
    except FileFormatError as error:
        with pytest.raises(FileFormatError) as refused:
            star_parse.parse_star_file(io.BytesIO(data), "x")
        assert str(refused.value) == str(error)
        return
    found = star_parse.parse_star_file(io.BytesIO(data), "x")
    assert list(found) == list(expected)
    pd.testing.assert_frame_equal(found["t"], expected["t"])


def test_window_reads_like_a_file():
    window = star_parse._Window(b"0123456789", 2, 8)
    assert io.BufferedReader(window).read() == b"234567"
