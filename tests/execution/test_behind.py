"""Work that goes on behind its caller: order, errors, and the end."""

import threading

import pytest

from boxwood.execution import one_behind


def test_the_caller_goes_on_and_the_end_waits():
    release, done = threading.Event(), []

    def work():
        assert release.wait(10)
        done.append(1)
        return "result"

    with one_behind() as behind:
        assert behind.wait() is None
        behind.start(work)
        assert done == []
        release.set()
        assert behind.wait() == "result"
        behind.start(work)
    assert done == [1, 1]


def test_pieces_are_done_one_after_another():
    done = []
    with one_behind() as behind:
        for i in range(20):
            behind.start(lambda i=i: done.append(i))
            assert len(done) >= i
    assert done == list(range(20))


def test_an_error_is_raised_by_the_next_start():
    with pytest.raises(OSError, match="disk full"), one_behind() as behind:
        behind.start(_fail)
        with pytest.raises(OSError, match="disk full"):
            behind.start(lambda: None)


@pytest.mark.parametrize("other", [None, ValueError, KeyboardInterrupt])
def test_an_error_is_raised_by_the_end_whatever_else_happens(other):
    with pytest.raises(OSError, match="disk full"), one_behind() as behind:
        behind.start(_fail)
        if other:
            raise other


def _fail():
    raise OSError("disk full")
