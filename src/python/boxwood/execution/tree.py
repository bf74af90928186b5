"""Sums whose bits do not depend on who computes which term, nor when."""

import operator
from collections.abc import Callable
from typing import Generic, TypeVar

Term = TypeVar("Term")


class TreeSum(Generic[Term]):
    """Adds numbered terms in pairs, 0 + 1, 2 + 3, and so on, then these sums in pairs, up to one.

    Which are added to which depends on the number of terms alone, so they may come in any order, and
    2^level of them as one, added by somebody else. Terms that are None add nothing.

    Parameters
    ----------
    count : int
        Terms there will be.
    add : callable
        ``add(left, right)``; by default ``left + right``.
    """

    def __init__(self, count: int, add: Callable[[Term, Term], Term] = operator.add) -> None:
        self._count, self._add, self._top = count, add, max(count - 1, 0).bit_length()
        self._waiting: dict[tuple[int, int], Term | None] = {}
        self._total: Term | None = None

    def put(self, number: int, term: Term | None, level: int = 0) -> None:
        """Take the sum of the terms from ``number << level`` to before ``(number + 1) << level``."""
        while level < self._top:
            other = number ^ 1
            if other << level < self._count:
                if (level, other) not in self._waiting:
                    self._waiting[level, number] = term
                    return
                pair = (self._waiting.pop((level, other)), term)
                term = self._plus(*(pair if other < number else pair[::-1]))
            level, number = level + 1, number >> 1
        self._total = term

    def _plus(self, left: Term | None, right: Term | None) -> Term | None:
        if left is None or right is None:
            return right if left is None else left
        return self._add(left, right)

    @property
    def total(self) -> Term | None:
        """The sum of all terms, once they have come; None if all are."""
        if self._waiting:
            raise ValueError(f"{len(self._waiting)} sums still wait for others")
        return self._total
