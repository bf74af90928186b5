"""Selections of rows, as RELION's backup_selection.star."""

import numpy as np
import pytest

from boxwood.errors import FileFormatError, InputError
from boxwood.io.selection import read_selection, write_selection


def test_a_selection_comes_back(tmp_path):
    path = tmp_path / "selection.star"
    selected = np.array([True, False, False, True])
    write_selection(path, selected)
    np.testing.assert_array_equal(read_selection(path, 4), selected)
    assert " ".join(path.read_text().split()) == "# version 30001 data_ loop_ _rlnSelected #1 1 0 0 1"


def test_a_selection_of_one_row(tmp_path):
    (tmp_path / "list.star").write_text("data_\n_rlnSelected 1\n")
    assert read_selection(tmp_path / "list.star", 1).tolist() == [True]


def test_what_is_no_selection_of_these_rows_is_refused(tmp_path):
    write_selection(tmp_path / "a.star", [1, 0])
    with pytest.raises(InputError, match="a selection of 2 rows, but there are 3"):
        read_selection(tmp_path / "a.star", 3)
    (tmp_path / "b.star").write_text("data_\nloop_\n_rlnOther #1\n1\n2\n")
    with pytest.raises(FileFormatError, match="has no column _rlnSelected"):
        read_selection(tmp_path / "b.star", 2)
