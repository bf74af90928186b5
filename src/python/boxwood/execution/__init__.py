"""Running many independent pieces of work."""

from boxwood.execution.threads import Done, Failure, map_ordered

__all__ = ["Done", "Failure", "map_ordered"]
