"""The row expressions: meaning, precedence, and sentences instead of surprises."""

import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import InputError
from boxwood.io.where import rows_where


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "rlnCtfMaxResolution": [3.0, 4.5, 6.0, 9.0, np.nan],
            "rlnDefocusU": [4000.0, 12000.0, 5000.0, 20000.0, 8000.0],
            "rlnOpticsGroup": [1, 1, 2, 2, 1],
            "rlnMicrographName": ["a/m1.mrc", "a/m2.mrc", "b/m1.mrc", "b/m and 2.mrc", "c.mrc"],
        }
    )


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("rlnCtfMaxResolution < 6", [0, 1]),
        ("rlnCtfMaxResolution <= 6", [0, 1, 2]),
        ("_rlnCtfMaxResolution < 6", [0, 1]),
        ("6 >= rlnCtfMaxResolution", [0, 1, 2]),
        ("rlnCtfMaxResolution < 6 and rlnDefocusU > 5000", [1]),
        ("3 < rlnCtfMaxResolution <= 6", [1, 2]),
        ("rlnOpticsGroup = 2", [2, 3]),
        ("rlnOpticsGroup == 2 or rlnDefocusU < 5e3 and rlnCtfMaxResolution > 100", [2, 3]),
        ("(rlnOpticsGroup == 2 or rlnDefocusU < 5e3) and rlnCtfMaxResolution > 100", []),
        ("NOT rlnOpticsGroup == 2", [0, 1, 4]),
        ("not (rlnOpticsGroup == 2 or rlnDefocusU > 1e4)", [0, 4]),
        ("rlnOpticsGroup in (2, 7)", [2, 3]),
        ("rlnOpticsGroup not in (2)", [0, 1, 4]),
        ("rlnMicrographName in ('c.mrc', \"a/m1.mrc\")", [0, 4]),
        ("rlnMicrographName contains 'm1'", [0, 2]),
        ("rlnMicrographName == 'b/m and 2.mrc'", [3]),
        ("rlnCtfMaxResolution != 3", [1, 2, 3, 4]),
        ("rlnDefocusU > -.5e+1", [0, 1, 2, 3, 4]),
        ("rlnDefocusU > rlnCtfMaxResolution", [0, 1, 2, 3]),
    ],
)
def test_meaning(table, expression, rows):
    assert np.flatnonzero(rows_where(table, expression)).tolist() == rows


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("rlnCtfMaxResolutoin < 6", ["no column 'rlnCtfMaxResolutoin'", "rlnCtfMaxResolution"]),
        ("CtfMaxResolution < 6", ["did you mean rlnCtfMaxResolution"]),
        ("zzz < 6", ["the columns are", "rlnDefocusU"]),
        ("rlnDefocusU <", ["the end", "a column, a number or quoted text"]),
        ("rlnDefocusU", ["a comparison"]),
        ("rlnDefocusU < 5 rlnDefocusV > 3", ["'rlnDefocusV' at character 17", "'and', 'or' or the end"]),
        ("(rlnDefocusU < 5", ["')'"]),
        ("rlnDefocusU < 5000A", ["5000A"]),
        ("rlnMicrographName < 5", ["rlnMicrographName is text", "5 is a number"]),
        ("rlnDefocusU contains 'a'", ["rlnDefocusU is a number"]),
        ("rlnDefocusU in 5", ["'('"]),
        ("rlnDefocusU in ()", ["a number or quoted text"]),
        ("rlnDefocusU.mean() < 5", ["no column 'rlnDefocusU.mean'"]),
        ("__import__('os') == 1", ["no column"]),
        ("rlnDefocusU & 4 == 0", ["'&'"]),
        ("", ["the end"]),
    ],
)
def test_refusals(table, expression, words):
    with pytest.raises(InputError) as refusal:
        rows_where(table, expression)
    for word in words:
        assert word in str(refusal.value)


COLUMNS = {"a": [0.0, 1.0, 2.0, 3.0], "b": [2.0, 1.0, 0.0, -1.0]}
SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
LEAF = st.tuples(st.sampled_from("ab"), st.sampled_from(sorted(SIGNS)), st.integers(-2, 4))
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=8,
)


def write(tree):
    if tree[0] == "not":
        return f"not ({write(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({write(tree[1])}) {tree[0]} ({write(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def judge(tree):
    if tree[0] == "not":
        return ~judge(tree[1])
    if tree[0] in ("and", "or"):
        return {"and": operator.and_, "or": operator.or_}[tree[0]](judge(tree[1]), judge(tree[2]))
    return SIGNS[tree[1]](np.array(COLUMNS[tree[0]]), tree[2])


@given(TREE)
def test_any_nesting_means_what_it_says(tree):
    np.testing.assert_array_equal(rows_where(pd.DataFrame(COLUMNS), write(tree)), judge(tree))


@given(st.text(max_size=30))
def test_any_text_is_a_mask_or_a_sentence(text):
    table = pd.DataFrame(COLUMNS)
    try:
        assert rows_where(table, text).shape == (4,)
    except InputError as refusal:
        assert str(refusal)
