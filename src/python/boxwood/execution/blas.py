"""How many threads NumPy's products take: one, whatever the machine has."""

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_blas_thread() -> AbstractContextManager[object]:
    """Keep the BLAS of this process to one thread, until the returned context ends, if it is entered.

    The products are small: more threads would wait beside those of the kernels, and the last bits of a
    result would depend on their number.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
