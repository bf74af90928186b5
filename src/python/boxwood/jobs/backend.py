"""The option of jobs that a GPU can do."""

from typing import Any

from boxwood.options import option


def backend_option(group: str, **more: Any) -> Any:
    """Declare `backend`, a name for `boxwood.backends.get_backend`, in a group of the form."""
    return option(
        "cpu, cuda (the first GPU), cuda:0,1 (these GPUs), or auto: all GPUs if they are faster",
        "auto",
        group=group,
        **more,
    )
