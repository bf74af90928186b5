"""crYOLO's .cbox files: a fixture as crYOLO 1.9 writes them, and there and back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError
from boxwood.io.exchange.cbox import read_cbox, write_cbox

X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"
COLUMNS = [
    "CoordinateX",
    "CoordinateY",
    "CoordinateZ",
    "Width",
    "Height",
    "Depth",
    "EstWidth",
    "EstHeight",
    "Confidence",
    "NumBoxes",
    "Angle",
]


def cbox(*rows, columns=COLUMNS):
    labels = "".join(f"_{name} #{number}\n" for number, name in enumerate(columns, 1))
    body = "".join(f"{row}\n" for row in rows)
    return (
        f"\ndata_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n{labels}{body}\n"
        "data_cryolo_include\n\nloop_\n_slice_index #1\n"
    )


def test_corners_become_centres(tmp_path):
    path = tmp_path / "TcdA1-0018_frames_sum.cbox"
    path.write_text(
        cbox(
            "3700.3671875 3874.455551147461 <NA> 220.0 220.0 <NA> 232.0 222.0 0.6578449010848999 <NA> <NA>",
            "47.25 0.5 <NA> 220.0 100.0 <NA> 220.0 219.0 0.25 <NA> <NA>",
        )
    )
    picks = read_cbox(path)
    assert picks.micrograph == "TcdA1-0018_frames_sum" and picks.diameter == 220
    np.testing.assert_allclose(picks.table[[X, Y]], [[3810.3671875, 3984.455551147461], [157.25, 50.5]])
    assert picks.table[FOM].tolist() == [0.6578449010848999, 0.25]


@pytest.mark.parametrize("data", ["", "\n", cbox()])
def test_no_boxes(tmp_path, data):
    (tmp_path / "m.cbox").write_text(data)
    assert len(read_cbox(tmp_path / "m.cbox").table) == 0


def test_the_older_form(tmp_path):
    (tmp_path / "m.cbox").write_text("10\t20\t30\t40\t0.75\n")
    assert read_cbox(tmp_path / "m.cbox").table.to_numpy().tolist() == [[25, 40, 0.75]]


def test_boxes_drawn_by_hand_have_no_confidence(tmp_path):
    (tmp_path / "m.cbox").write_text(cbox("11.6877 27.959892 0.0 25.0 25.0 25.0 <NA> <NA> <NA> <NA> <NA>"))
    assert list(read_cbox(tmp_path / "m.cbox").table.columns) == [X, Y]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (cbox("1 2 0 3 3 3 1 1 1 1 1", "1 2 1 3 3 3 1 1 1 1 1"), "several slices"),
        (cbox("1 2 3", columns=["CoordinateX", "CoordinateY", "Width"]), "no _Height"),
        (cbox("1 nan <NA> 3 3 <NA> 1 1 1 1 1"), "row 1: CoordinateY is nan"),
        (cbox("1 2 <NA> <NA> 3 <NA> 1 1 1 1 1"), "row 1: Width is <NA>"),
        (cbox("1 2 <NA> 3 3"), "line 20"),
        ("10 20 30\n", "line 1: expected x, y, width and height"),
        ("1 2 3 4 0.5\n1 2 3 4\n", "scores in some lines only"),
    ],
)
def test_bad_files(tmp_path, data, words):
    (tmp_path / "m.cbox").write_text(data)
    with pytest.raises(FileFormatError, match=words):
        read_cbox(tmp_path / "m.cbox")


@given(
    rows=st.lists(st.tuples(st.floats(-1e3, 1e5), st.floats(-1e3, 1e5), st.floats(0, 1)), max_size=6),
    box=st.integers(2, 999),
    scored=st.booleans(),
)
def test_there_and_back(tmp_path_factory, rows, box, scored):
    path = tmp_path_factory.mktemp("cbox") / "é 1.cbox"
    table = pd.DataFrame(rows, columns=[X, Y, FOM], dtype="float64")[[X, Y, FOM] if scored else [X, Y]]
    write_cbox(path, table, box)
    picks = read_cbox(path)
    # Half a box is taken away and added again, each with one rounding.
    np.testing.assert_allclose(picks.table[[X, Y]], table[[X, Y]], atol=2e5 * np.finfo(float).eps)
    if scored and len(table):
        assert picks.table[FOM].tolist() == table[FOM].tolist()
