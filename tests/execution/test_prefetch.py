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


def test_leaving_before_the_first_result_waits_for_the_call_under_way():
    begun, end, ended = threading.Event(), threading.Event(), []

    def work(item):
        begun.set()
        end.wait(60)
        ended.append(item)

    results = prefetch(work, range(3))
    assert begun.wait(60)
    threading.Timer(0.1, end.set).start()
    results.close()
    assert ended == [0]


def test_ctrl_c_while_the_thread_begins_leaves_none_behind(monkeypatch):
    """Such a thread is known to nobody, so the process would wait for it at its end, for ever."""
    start, begun = threading.Thread.start, []

    def interrupted(thread):
        start(thread)
        begun.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt) as stopped:
        prefetch(abs, range(3))
    begun[0].join(60)
    assert not begun[0].is_alive() and stopped  # its traceback, which keeps what is in it
