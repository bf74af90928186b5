"""The map over items: order, failures, memory, and stopping."""

import threading
import time

import pytest

from boxwood.execution import Failure, map_ordered


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_order(threads):
    def slow_for_even(i):
        time.sleep(0.002 * (i % 2 == 0))
        return i * i

    assert [(d.item, d.result) for d in map_ordered(slow_for_even, range(20), threads)] == [
        (i, i * i) for i in range(20)
    ]


def test_a_failure_is_a_result():
    results = [done.result for done in map_ordered(lambda i: 1 // i, [1, 0, 1], 2)]
    assert results[0] == results[2] == 1
    assert isinstance(results[1], Failure) and isinstance(results[1].error, ZeroDivisionError)


def test_no_more_than_two_results_a_thread_are_held():
    begun = []
    work = map_ordered(begun.append, range(1000), 3)
    next(work)
    assert len(begun) <= 6
    work.close()


def test_nothing_runs_after_the_caller_stops():
    begun, release = [], threading.Event()

    def wait(i):
        begun.append(i)
        if i:
            release.wait(5)
        return i

    work = map_ordered(wait, range(100), 2)
    assert next(work).result == 0
    threading.Timer(0.05, release.set).start()
    work.close()
    after = len(begun)
    time.sleep(0.05)
    assert len(begun) == after <= 4
