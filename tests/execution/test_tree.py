"""Sums in a fixed tree: the same bits in whatever order, and in whatever blocks, the terms come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.execution import Threads, TreeSum
from boxwood.execution.executor import Made

# Sums of these depend on their order in nearly every bit.
VALUES = np.random.default_rng(0).lognormal(0, 20, 100)


def summed(terms, order=None):
    tree = TreeSum(len(terms))
    for number in range(len(terms)) if order is None else order:
        tree.put(number, terms[number])
    return tree.total


@given(st.integers(1, 100), st.randoms(), st.sets(st.integers(0, 99)))
def test_order_changes_nothing(count, random, missing):
    terms = [None if i in missing else float(VALUES[i]) for i in range(count)]
    order = list(range(count))
    random.shuffle(order)
    assert summed(terms, order) == summed(terms)


@given(st.integers(1, 100), st.integers(0, 7), st.randoms())
def test_blocks_of_a_power_of_two_are_branches(count, level, random):
    terms = [float(value) for value in VALUES[:count]]
    blocks = [terms[first : first + (1 << level)] for first in range(0, count, 1 << level)]
    tree, numbers = TreeSum(count), list(range(len(blocks)))
    random.shuffle(numbers)
    for number in numbers:
        tree.put(number, summed(blocks[number]), level)
    assert tree.total == summed(terms)


def test_terms_are_added_in_pairs():
    assert summed(list("abcdefg")) == "abcdefg"
    shape = TreeSum(5, lambda left, right: f"({left}{right})")
    for number in (4, 1, 0, 3, 2):
        shape.put(number, "abcde"[number])
    assert shape.total == "(((ab)(cd))e)"


def test_there_is_no_sum_before_all_have_come_and_none_of_nothing():
    tree = TreeSum(3)
    tree.put(0, 1.0)
    with pytest.raises(ValueError, match="still wait"):
        _ = tree.total
    assert summed([]) is None and summed([None, None]) is None and summed([None, 2.0]) == 2.0


class Square:
    """Squares of numbers, and the numbers as terms."""

    def __call__(self, here, items):
        here.keep("begun", "", list).append(1)
        for item in items:
            yield item * item, item if item % 2 else None


def test_threads_tell_of_every_item_and_add_their_terms():
    executor, seen = Threads(2), {}
    assert executor.map_add(Square(), Made(6, lambda i: i + 1), seen.__setitem__) == 1 + 3 + 5
    assert seen == {i: (i + 1) ** 2 for i in range(6)}
    executor.map_add(Square(), [2], seen.__setitem__)
    assert executor.here.keep("begun", "", list) == [1, 1]
    assert list(Made(4, str)[1:3]) == ["1", "2"]
    with pytest.raises(IndexError):
        Made(2, str)[2]
