"""Running independent pieces of work at the same time."""

from boxwood.execution.behind import Behind, one_behind
from boxwood.execution.executor import Executor, Here, Made, Threads, Work
from boxwood.execution.prefetch import prefetch
from boxwood.execution.threads import Done, Failure, map_ordered
from boxwood.execution.tree import TreeSum

__all__ = [
    "Behind",
    "Done",
    "Executor",
    "Failure",
    "Here",
    "Made",
    "Threads",
    "TreeSum",
    "Work",
    "map_ordered",
    "one_behind",
    "prefetch",
]
