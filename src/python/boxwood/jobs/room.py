"""Whether a job's files will fit on their disk, asked before it begins."""

from __future__ import annotations

from boxwood.errors import JobError
from boxwood.io.space import free_bytes, in_words
from boxwood.jobs.context import JobContext


def check_room(context: JobContext, needed: float, what: str, remedy: str, *, sure: bool = True) -> None:
    """Refuse to begin what will not fit, or only warn where that is not `sure`.

    Parameters
    ----------
    context : JobContext
    needed : float
        Bytes.
    what : str
        What takes them: "2000 particles of 64 px".
    remedy : str
        What to do besides making room: "rescale them".

    Raises
    ------
    JobError
    """
    free = free_bytes(context.output)
    if free is None or needed <= free:
        return
    text = (
        f"{what} take{'' if sure else ' up to'} {in_words(needed)}, and the disk of {context.name} has "
        f"{in_words(free)} free; make room, or {remedy}"
    )
    if sure:
        raise JobError(text)
    context.warn(text)
