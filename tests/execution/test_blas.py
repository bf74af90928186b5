"""Results do not depend on how many threads NumPy's products might take."""

from contextlib import ExitStack

from threadpoolctl import threadpool_info, threadpool_limits

from boxwood.class2d import classify2d
from boxwood.execution.blas import one_blas_thread
from boxwood.jobs.cluster import bits_here, simd_here
from boxwood.simulate import simulate_particles


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_one_thread_while_it_lasts():
    with threadpool_limits(2, "blas"):
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_blocks_of_two_threads_may_overlap():
    """The one that ends first takes nothing from the other, and in the end all is as it was."""
    with threadpool_limits(2, "blas"):
        first, second = ExitStack(), ExitStack()
        first.enter_context(one_blas_thread())
        second.enter_context(one_blas_thread())
        first.close()
        assert blas_threads() == {1}
        second.close()
        assert blas_threads() == {2}


def test_workers_are_asked_for_bits_that_threads_of_blas_do_not_change():
    found = set()
    for threads in 1, 2:
        with threadpool_limits(threads, "blas"):
            found.add(bits_here(simd_here()))
    assert len(found) == 1


def test_iterations_are_computed_with_one_thread_and_the_caller_has_his_own_between():
    particles = simulate_particles(40, 32, 4.0, classes=2, snr=0.5, seed=0)
    within, between = [], []
    with threadpool_limits(2, "blas"):
        for _ in classify2d(
            particles.images, particles.ctf_rows, pixel_size_angstrom=4.0, classes=2, iterations=1, threads=1,
            mask_diameter_angstrom=80, progress=lambda *_: within.append(blas_threads()),
        ):  # fmt: skip
            between.append(blas_threads())
    assert within and set().union(*within) == {1}
    assert between and set().union(*between) == {2}
