"""Preparing one item ahead: order, how far ahead, errors, and stopping."""

import threading

import pytest

from boxwood.execution.prefetch import prefetch


def test_results_come_in_order_through_two_stages():
    squares = prefetch(lambda i: i * i, range(50))
    assert list(prefetch(lambda i: i + 1, squares)) == [i * i + 1 for i in range(50)]
    assert list(prefetch(abs, [])) == []


def test_the_next_is_made_while_the_caller_has_one():
    made = [threading.Event() for _ in range(5)]
    results = prefetch(lambda i: made[i].set(), range(5))
    assert made[0].wait(10)
    assert not made[1].is_set()
    next(results)
    assert made[1].wait(10)
    assert not made[2].is_set()
    results.close()
    assert not made[2].is_set()


def test_errors_come_where_the_result_would_have():
    results = prefetch(lambda i: 1 // (2 - i), range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
