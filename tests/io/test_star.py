"""Reading and writing STAR files: types, layout, and errors that say where and what to do."""

import math

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import FileFormatError, InputError
from boxwood.io.star import ends_too_soon, read_star, read_star_table, write_star


def read_text(tmp_path, text):
    path = tmp_path / "a.star"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_star(path)


def written(tmp_path, tables, **options):
    path = tmp_path / "out.star"
    write_star(path, tables, **options)
    return path.read_text()


LOOP = "data_particles\n\nloop_\n_rlnMicrographName #1\n_rlnVoltage #2\n_rlnOpticsGroup #3\n"


def test_labels_decide_types(tmp_path):
    table = read_text(tmp_path, LOOP + "0001 300 1\n0002 200 2\n")["particles"]
    assert table["rlnMicrographName"].tolist() == ["0001", "0002"]
    assert table["rlnVoltage"].dtype == np.float64
    assert table["rlnOpticsGroup"].dtype == np.int64


def test_unknown_columns_are_numbers_only_where_all_are_plain_numbers(tmp_path):
    text = "data_\nloop_\n_a\n_b\n_c\n_d\n_e\n1 0001 1e3 x nan\n-2 2 .5 1 inf\n"
    table = read_text(tmp_path, text)[""]
    assert table["a"].tolist() == [1, -2]
    assert table["b"].tolist() == ["0001", "2"]
    assert table["c"].tolist() == [1000, 0.5]
    assert table["d"].tolist() == ["x", "1"]
    assert math.isnan(table["e"][0])
    assert table["e"][1] == math.inf


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_comments(tmp_path, end):
    text = (
        "# made by hand\n\n"
        + LOOP
        + "\n \na 300 1 \n\n# between\nb 200 2 # after\n\n \n# version 1\n\ndata_x\n\n_y 1\n"
    )
    tables = read_text(tmp_path, text.replace("\n", end))
    assert tables["particles"]["rlnMicrographName"].tolist() == ["a", "b"]
    assert tables["x"] == {"y": 1}


def test_byte_order_mark(tmp_path):
    assert read_text(tmp_path, b"\xef\xbb\xbfdata_a\n_x 1\n") == {"a": {"x": 1}}


def test_not_a_number_and_infinity(tmp_path):
    table = read_text(tmp_path, LOOP + "nan nan 1\ninf inf 1\nb -nan 1\nc -inf 1\n")["particles"]
    assert table["rlnMicrographName"].tolist() == ["nan", "inf", "b", "c"]
    np.testing.assert_array_equal(table["rlnVoltage"], [np.nan, np.inf, np.nan, -np.inf])


def test_quotes(tmp_path):
    text = 'data_\nloop_\n_a\n_b\n"x y" \'\'\n\'p "q"\' don\'t\n" " a"b\nm#n "#"\n'
    table = read_text(tmp_path, text)[""]
    assert table["a"].tolist() == ["x y", 'p "q"', " ", "m#n"]
    assert table["b"].tolist() == ["", "don't", 'a"b', "#"]


def test_list_table(tmp_path):
    text = (
        "data_job\n\n_rlnJobTypeLabel  relion.autopick.log\n_rlnJobIsContinue 0\n"
        '_a ""\n_b two words\n_c 007\n_rlnVoltage 300\n_d\n'
    )
    table = read_text(tmp_path, text)["job"]
    assert table == {
        "rlnJobTypeLabel": "relion.autopick.log",
        "rlnJobIsContinue": 0,
        "a": "",
        "b": "two words",
        "c": "007",
        "rlnVoltage": 300.0,
        "d": "",
    }
    assert isinstance(table["rlnVoltage"], float)


def test_empty_files_and_tables(tmp_path):
    assert read_text(tmp_path, "") == {}
    assert read_text(tmp_path, "\n# nothing\n \n") == {}
    tables = read_text(
        tmp_path, "data_a\n\nloop_\n_rlnCoordinateX #1\n_rlnImageName #2\n\ndata_b\ndata_c\n_x 1"
    )
    assert tables["a"].shape == (0, 2)
    assert tables["a"]["rlnCoordinateX"].dtype == np.float64
    assert tables["b"] == {}
    assert tables["c"] == {"x": 1}


def test_row_that_starts_with_data_is_no_table(tmp_path):
    table = read_text(tmp_path, LOOP + "data_2020/a.mrc 300 1\ndata_b 200 1\n")["particles"]
    assert table["rlnMicrographName"].tolist() == ["data_2020/a.mrc", "data_b"]


def test_tab_inside_a_value_where_spaces_separate(tmp_path):
    text = (
        "data_\nloop_\n_rlnJobOptionVariable\n_rlnJobOptionDefaultValue\n_rlnJobOptionFilePattern\n"
        ' a "" STAR\t(*.star) \n'
    )
    assert read_text(tmp_path, text)[""].iloc[0].tolist() == ["a", "", "STAR\t(*.star)"]


def test_fraction_in_an_integer_column(tmp_path):
    table = read_text(tmp_path, LOOP + "a 300 1.000\nb 300 2.0\n")["particles"]
    assert table["rlnOpticsGroup"].dtype == np.int64
    table = read_text(tmp_path, LOOP + "a 300 1.5\nb 300 2.0\n")["particles"]
    assert table["rlnOpticsGroup"].tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (LOOP + "a 300 1\nb 200\n", 8, "2 columns, the header has 3"),
        (LOOP + "a 300 1\n\nb 200 1 7\n", 9, "4 columns, the header has 3"),
        (LOOP + "a 300 1 7\nb 200 1\n", 7, "4 columns, the header has 3"),
        (LOOP + "a 300 1\nb high 1\n", 8, "_rlnVoltage is 'high', expected a number"),
        (LOOP + "a 300 1\nb 300 one\n", 8, "_rlnOpticsGroup is 'one', expected a whole number"),
        (LOOP + '"a 300 1\n', 7, "a quote is opened and not closed"),
        ("data_\nloop_\n_a\n_a\n1 2\n", 4, "'_a' is there twice"),
        ("data_\nloop_\n1 2\n", 3, "not followed by labels"),
        ("data_\nloop_\n_a 3\n", 3, "label _a of a loop has a value"),
        ("data_\n_a 1\n_a 2\n", 3, "'_a' is there twice"),
        ("data_\n_rlnVoltage x\n", 2, "_rlnVoltage is 'x', expected a number"),
        ("data_\n_a 1\nrubbish\n", 3, "found 'rubbish'"),
        ("data_\n_a 1\n\ndata_\n_a 2\n", 4, "a second table of this name"),
        ("hello\nworld\n", 1, "expected a line data_NAME, found 'hello'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, line, words):
    with pytest.raises(FileFormatError) as caught:
        read_text(tmp_path, text)
    message = str(caught.value)
    assert f"a.star line {line}" in message
    assert words in message
    assert message.count("\n") == 0


def test_table_is_named_in_errors(tmp_path):
    with pytest.raises(FileFormatError, match=r"line 8, table data_particles: 1 columns"):
        read_text(tmp_path, LOOP + "a 300 1\nb\n")


def test_binary_and_other_encodings_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match="binary data"):
        read_text(tmp_path, b"data_\0")
    with pytest.raises(FileFormatError, match=r"line 2: byte 0xe9 is not UTF-8 text.*iconv"):
        read_text(tmp_path, b"data_\n_a \xe9t\xe9\n")


def test_read_one_table(tmp_path):
    path = tmp_path / "a.star"
    path.write_text("data_a\n_x 1\n")
    assert read_star_table(path, "b", "a") == {"x": 1}
    with pytest.raises(FileFormatError, match="has data_a, but data_b or data_c is needed"):
        read_star_table(path, "b", "c")


def test_layout_of_a_loop(tmp_path):
    table = pd.DataFrame(
        {
            "rlnMicrographName": ["a b.mrc", "0001", "", "longer/than/ten.mrc"],
            "rlnOpticsGroup": [1, 2, 3, 4],
            "rlnDefocusU": [0.0, -1.5, 123456.0, -1e-5],
            "rlnIsFlip": [True, False, True, False],
            "mine": [0.1, 1e-7, 2.0, 1 / 3],
        }
    )
    assert written(tmp_path, {"micrographs": table}) == (
        "\n# version 30001\n\ndata_micrographs\n\nloop_ \n"
        "_rlnMicrographName #1 \n_rlnOpticsGroup #2 \n_rlnDefocusU #3 \n_rlnIsFlip #4 \n_mine #5 \n"
        ' "a b.mrc"            1     0.000000            1          0.1 \n'
        "      0001            2     -1.50000            0        1e-07 \n"
        '        ""            3 1.234560e+05            1            2 \n'
        "longer/than/ten.mrc            4 -1.00000e-05            0 0.3333333333333333 \n"
        " \n"
    )


def test_layout_of_a_list(tmp_path):
    text = written(
        tmp_path,
        {"job": {"rlnJobTypeLabel": "relion.autopick.log", "rlnJobIsContinue": False, "rlnPixelSize": 3}},
        dialect="5",
        comments=["one", "two"],
    )
    assert text == (
        "# one\n# two\n\n# version 50001\n\ndata_job\n\n"
        "_rlnJobTypeLabel             relion.autopick.log\n"
        "_rlnJobIsContinue                       0\n"
        "_rlnPixelSize                    3.000000\n \n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "    0.000000"),
        (0.001, "    0.001000"),
        (0.000999999999, "1.000000e-03"),
        (-0.001, "    -0.00100"),
        (-0.000999, "-9.99000e-04"),
        (1e5, "100000.00000"),
        (100000.5, "1.000005e+05"),
        (99999.9999999, "100000.00000"),
        (-1e5, "-100000.0000"),
        (-1e30, "-1.00000e+30"),
        (math.nan, "         nan"),
        (math.inf, "         inf"),
        (-math.inf, "        -inf"),
        (1e-105, "1.000000e-105"),  # RELION cuts this to 1.000000e-10, which is another number
    ],
)
def test_numbers_as_relion_prints_them(tmp_path, value, text):
    alone = written(tmp_path, {"a": {"rlnVoltage": value}})
    assert alone.splitlines()[-2] == "_rlnVoltage" + " " * 12 + text
    for others in ([], [1.0], [-1.0, 1e-9] * 9, [value] * 9):
        column = written(tmp_path, {"a": pd.DataFrame({"rlnVoltage": [value, *others]})})
        assert column.splitlines()[7] == text + " "


def test_long_and_short_runs_and_many_rows_are_formatted_alike(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=9000) * 10.0 ** rng.integers(-8, 8, 9000)
    values[4000:8500] = np.repeat(values[4000:8500:500], 500)
    lines = written(tmp_path, {"a": pd.DataFrame({"rlnVoltage": values})}).splitlines()[7:-1]
    single = [
        written(tmp_path, {"a": {"rlnVoltage": value}}).splitlines()[-2][23:] for value in values[::173]
    ]
    assert [line[:-1] for line in lines[::173]] == single


@pytest.mark.parametrize("rows", [1, 99, 101, 5000])
def test_arrays_are_columns(tmp_path, rows):
    rng = np.random.default_rng(0)
    columns = {
        "rlnSpectralIndex": np.arange(rows),
        "rlnResolution": rng.standard_normal(rows) * 10.0 ** rng.integers(-6, 7, rows),
        "rlnMicrographName": np.array([f"a {i}" for i in range(rows)], dtype=object),
    }
    assert written(tmp_path, {"a": columns}) == written(tmp_path, {"a": pd.DataFrame(columns)})
    assert written(tmp_path, {"a": {name: values[:0] for name, values in columns.items()}}) == ""


def test_tables_without_rows_are_not_written(tmp_path):
    table = pd.DataFrame({"rlnCoordinateX": pd.Series(dtype=float)})
    assert written(tmp_path, {"": table, "a": {}}) == ""
    assert read_star(tmp_path / "out.star") == {}


@pytest.mark.parametrize(
    ("tables", "options", "words"),
    [
        ({"a": {"x": 1}}, {"dialect": "6"}, "dialect is '6', expected '3.0', '3.1' or '5'"),
        ({"a": {"x": "two\nlines"}}, {}, "data_a: _x has a line break"),
        ({"a": pd.DataFrame({"x": ["'\"b"]})}, {}, "both kinds of quotes"),
        ({"a": pd.DataFrame({"rlnVoltage": ["high"]})}, {}, "_rlnVoltage holds values that are not numbers"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(tmp_path, tables, options, words):
    with pytest.raises(InputError, match=words):
        write_star(tmp_path / "out.star", tables, **options)
    assert list(tmp_path.iterdir()) == []


def test_missing_values_in_a_text_column_become_empty(tmp_path):
    text = written(tmp_path, {"a": pd.DataFrame({"rlnGroupName": ["x", None, np.nan, pd.NA]})})
    assert [line.strip() for line in text.splitlines()[7:-1]] == ["x", '""', '""', '""']


def test_columns_of_objects_are_written_by_their_label(tmp_path):
    table = pd.DataFrame({"rlnVoltage": [300, 200.5], "rlnOpticsGroup": [1, 2]}, dtype=object)
    assert "  300.000000            1 \n" in written(tmp_path, {"a": table})


def test_tables_from_one_name_on_are_left_out(tmp_path):
    path = tmp_path / "model.star"
    path.write_text("data_model_general\n_a 1\n\ndata_model_class_1\n_b 2\n\ndata_model_groups\n_c 3\n")
    assert list(read_star(path)) == ["model_general", "model_class_1", "model_groups"]
    assert read_star(path, until="model_class_") == {"model_general": read_star(path)["model_general"]}


@pytest.mark.parametrize(
    ("end", "cut"),
    [("", True), ("\n", False), ("\r\n", False), ("\n ", False), (" ", True), ("\n \n", False)],
)
def test_files_that_end_within_a_line(tmp_path, end, cut):
    path = tmp_path / "a.star"
    path.write_bytes((LOOP + "0001 300 1" + end).encode())
    assert ends_too_soon(path) is cut
    path.write_bytes(b"")
    assert not ends_too_soon(path)
