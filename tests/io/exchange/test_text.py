"""Coordinates in text: EMAN's boxes, Topaz's tables, columns with and without names."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import FileFormatError, InputError
from boxwood.io.exchange.text import TextColumns, read_box, read_text, write_box, write_columns

X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"
PLACES = st.lists(st.tuples(*[st.floats(-1e4, 1e5).map(lambda v: round(v, 4))] * 2), max_size=8)


def points(picks):
    return picks.table[[X, Y]].to_numpy().tolist()


@given(places=PLACES, box=st.integers(2, 999))
def test_boxes_there_and_back(tmp_path_factory, places, box):
    path = tmp_path_factory.mktemp("box") / "m 1.box"
    write_box(path, pd.DataFrame(places, columns=[X, Y], dtype="float64"), box)
    picks = read_box(path)
    np.testing.assert_allclose(np.reshape(points(picks), (-1, 2)), np.reshape(places, (-1, 2)), atol=6e-5)
    assert picks.micrograph == "m 1" and picks.diameter == (box if places else None)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='#/"'), min_size=1
)


@given(tables=st.dictionaries(NAMES.map(lambda n: f"a b/{n}.mrc"), PLACES, max_size=3), topaz=st.booleans())
def test_tables_there_and_back(tmp_path_factory, tables, topaz):
    path = tmp_path_factory.mktemp("text") / "all.txt"
    frames = {
        name: pd.DataFrame(places, columns=[X, Y], dtype="float64").assign(**{FOM: 0.5})
        for name, places in tables.items()
    }
    write_columns(path, frames, topaz=topaz)
    found = {picks.micrograph: picks.table for picks in read_text(path, topaz=topaz) if len(picks.table)}
    wanted = {name[4:-4] if topaz else name: table for name, table in frames.items() if len(table)}
    assert list(found) == list(wanted)
    for name, table in wanted.items():
        np.testing.assert_allclose(found[name][[X, Y, FOM]], table, atol=6e-5)


def test_topaz_as_it_is_documented(tmp_path):
    path = tmp_path / "predicted.txt"
    path.write_text(
        "image_name\tx_coord\ty_coord\tscore\nmt_00000\t420\t586\t0.6130168\nmt_00000\t881\t475\t-0.32\n"
    )
    (picks,) = read_text(path, topaz=True)
    assert picks.micrograph == "mt_00000" and points(picks) == [[420, 586], [881, 475]]
    assert picks.table[FOM].tolist() == [0.6130168, -0.32]
    path.write_text("name\tx\ty\nm\t1\t2\n")
    with pytest.raises(FileFormatError, match="expected the header image_name x_coord y_coord"):
        read_text(path, topaz=True)


@pytest.mark.parametrize(
    ("text", "columns", "found"),
    [
        ("10 20 0.5\n1.5,2\n", {}, {"m": [[10, 20], [1.5, 2]]}),
        ("y,x\n1,2\n", {}, {"m": [[2, 1]]}),
        ("Filename,X,Y\n\"a, b.mrc\",1,2\nc.mrc,3,4,\n", {}, {"a, b.mrc": [[1, 2]], "c.mrc": [[3, 4]]}),
        ("name,score,y,x\na.mrc,0.5,2,1\n", {}, {"a.mrc": [[1, 2]]}),
        ("row;column\n1;2\n", {"x": "column", "y": "row"}, {"m": [[2, 1]]}),
        ("1 2 3 4\n", {"x": "4", "y": "2"}, {"m": [[4, 2]]}),
        ("a.mrc 1 2 0.5\n# b.mrc 1 2\nb.mrc 3 4 0.25\n", {}, {"a.mrc": [[1, 2]], "b.mrc": [[3, 4]]}),
        ("\ufeff5 6\r\n7 8\r\n", {}, {"m": [[5, 6], [7, 8]]}),
        ("x y\n", {}, {"m": []}),
    ],
)  # fmt: skip
def test_columns(tmp_path, text, columns, found):
    path = tmp_path / "m.txt"
    path.write_text(text, newline="")
    assert {p.micrograph: points(p) for p in read_text(path, TextColumns(**columns))} == found


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("1 2\n3 nan\n", {}, "line 2: expected x and y, found '3 nan'"),
        ("1 2\n3 1e999\n", {}, "line 2: expected x and y"),
        ("a,b\n1,2\n", {}, "columns a, b; say with x_column and y_column"),
        ("x,y\n1,2\n", {"score": "fom"}, "no column 'fom': its columns are x, y"),
        ("1,2\n", {"score": "fom"}, "no header; give a number"),
        ("1,2\n", {"score": "5"}, "line 1: expected 5 values"),
        ("m,1,\n", {}, "line 1: expected"),
        ("x,y\n1,,2\n", {}, "line 2: expected"),
    ],
)
def test_bad_columns(tmp_path, text, columns, words):
    (tmp_path / "m.txt").write_text(text)
    with pytest.raises(InputError, match=words):
        read_text(tmp_path / "m.txt", TextColumns(**columns))


@pytest.mark.parametrize(
    ("text", "words"), [("1 2 -3 4\n", "box is -3 x 4"), ("1 2 inf 4\n", "line 1: expected")]
)
def test_bad_boxes(tmp_path, text, words):
    (tmp_path / "m.box").write_text(text)
    with pytest.raises(FileFormatError, match=words):
        read_box(tmp_path / "m.box")


def test_two_micrographs_that_topaz_would_take_for_one(tmp_path):
    table = pd.DataFrame({X: [1.0], Y: [2.0]})
    with pytest.raises(InputError, match=r"a/m.mrc and b/m.mrc would both be called m"):
        write_columns(tmp_path / "all.txt", {"a/m.mrc": table, "b/m.mrc": table}, topaz=True)


def test_real_boxes(shared_data):
    """Boxes of the data set that crYOLO's tutorial begins with."""
    first = read_box(shared_data / "formats/eman_box/TcdA1-0010_frames.box")
    assert len(first.table) == 87 and first.diameter == 300
    assert points(first)[0] == [1688 + 150, 3724.5 + 150]
