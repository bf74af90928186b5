"""How many threads NumPy's products take: one, whatever the machine has."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import LibController, ThreadpoolController

# The number is the whole process's: whoever leaves last, of any thread, gives back what the first has found.
_lock = Lock()
_inside = 0
_found: dict[str, tuple[LibController, int]] = {}


def keep_one_blas_thread() -> None:
    """Keep the BLAS of this process to one thread, for good.

    The products are small: more threads would wait beside those of the kernels, and the last bits of a
    result would depend on their number.
    """
    global _inside
    with _lock:
        _inside += 1
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            _found.setdefault(library.filepath, (library, library.num_threads))
            library.set_num_threads(1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep the BLAS of this process to one thread during the block; blocks of several threads may overlap."""
    global _inside
    keep_one_blas_thread()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for library, threads in _found.values():
                    library.set_num_threads(threads)
                _found.clear()
