"""The first pass of the expectation kernel, on fewer rings and offsets: what it leaves out, and what not."""

import numpy as np
from expectation_cases import EPS, make_case, shapes, value_error, with_first_pass
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import reference
from boxwood.imaging.polar import PolarGrid


@settings(max_examples=8)
@given(**shapes, hard=st.booleans())
def test_first_pass_that_excludes_nothing_changes_nothing(backend, hard, **shape):
    # Where the signal is strong, pairs vanish in the first pass by underflow.
    case = make_case(**(shape | {"snr": 0.0})) | {"hard": hard}
    case["weights"] *= 0.1
    got = backend.expectation(**with_first_pass(case, shape["seed"]))
    want = backend.expectation(**case)
    relative = 4 * value_error(case) + 64 * EPS
    for name in ("statistics", "class_posterior", "offset_posterior", "numerator", "denominator", "cross"):
        size = max(1, np.abs(want[name]).max()) * shape["images"]
        assert np.abs(got[name] - want[name]).max() <= relative * size, name


def pair_posterior(case):
    """(n, k, t) posterior of the reference, summed over angles."""
    n, k, t = len(case["images"]), len(case["references"]), len(case["phases"])
    result = reference.expectation(**(case | {"top": k * t * case["psi"]}))
    pairs = np.zeros((n, k, t))
    image = np.arange(n)[:, None]
    np.add.at(
        pairs, (image, result["top_samples"][..., 0], result["top_samples"][..., 2]), result["top_weights"]
    )
    return pairs


def first_pass_of(two):
    """The problem that the first pass solves."""
    rings = 1 + int(np.searchsorted(np.cumsum(two["ring_samples"] // 2), two["coarse_phases"].shape[1]))
    ring, _ = PolarGrid(24, 7, 3.0, len(two["ring_samples"])).packed_order(len(two["ring_samples"]))
    return two | {
        "phases": two["coarse_phases"],
        "log_prior_offset": two["coarse_log_prior_offset"],
        "weights": two["weights"][:, :rings],
        "ring_samples": two["ring_samples"][:rings],
        "ring_harmonics": two["ring_harmonics"][:rings],
        "references": two["references"][:, ring < rings],
        "power": two["power"][:, :rings],
    }


@settings(max_examples=8)
@given(**shapes, fraction=st.sampled_from([0.5, 0.9, 0.999]))
def test_second_pass_is_where_the_first_one_says(backend, fraction, **shape):
    case = make_case(**shape)
    two = with_first_pass(case, shape["seed"]) | {"fraction": fraction}
    got, whole = backend.expectation(**two), pair_posterior(case)
    error = 4 * value_error(case) + 64 * EPS
    for i, pairs in enumerate(pair_posterior(first_pass_of(two))):
        # The smallest set of pairs that surely holds the fraction must be searched: classes have at least
        # their share of the whole posterior there, and more as others lose theirs.
        order = np.argsort(-pairs, axis=None)
        needed = np.zeros(pairs.size, bool)
        needed[order[: np.searchsorted(np.cumsum(pairs.ravel()[order]), fraction - error) + 1]] = True
        must = needed.reshape(pairs.shape)[:, two["parent"]]
        assert (got["class_posterior"][i] >= (whole[i] * must).sum(axis=1) - error).all()


def test_first_pass_saves_searching_without_loss(backend):
    """Where the signal is strong, both passes agree with one, though the first drops most pairs."""
    case = make_case(8, images=30, snr=3.0)
    two = with_first_pass(case, 0)
    two["parent"] = np.repeat(np.arange(3, dtype=np.int32), 3)
    two["coarse_log_prior_offset"] = np.zeros((30, 3), np.float32)
    one, got = (
        backend.expectation(**case),
        backend.expectation(**(two | {"fraction": 0.999})),
    )
    assert (one["best"][:, 0] == got["best"][:, 0]).mean() > 0.9
    assert (got["offset_posterior"] == 0).any()
