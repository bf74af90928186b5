"""Running independent pieces of work at the same time."""

from boxwood.execution.behind import Behind, one_behind
from boxwood.execution.threads import Done, Failure, map_ordered

__all__ = ["Behind", "Done", "Failure", "map_ordered", "one_behind"]
