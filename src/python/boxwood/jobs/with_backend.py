"""Work on items, for `JobContext.map`, that runs kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwood.backends import Backend
    from boxwood.jobs.context import JobContext


class WithBackend:
    """In the process of a worker it has a backend of that process, which is asked for by the name of ours."""

    context: JobContext
    backend: Backend

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "backend": self.backend.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from boxwood.backends import get_worker_backend

        vars(self).update(state)
        self.backend = get_worker_backend(state["backend"], self.context.warn)
