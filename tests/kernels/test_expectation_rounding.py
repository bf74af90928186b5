"""Inputs of the expectation kernel that are rounded to bfloat16 or TF32."""

import numpy as np
import pytest
from expectation_cases import EPS, make_case, shapes, value_error, with_first_pass
from hypothesis import HealthCheck, given, settings

from boxwood.backends import reference


def rounding_error(case, precision):
    """Bound of the effect of rounded inputs on a log-likelihood.

    Each input has a relative error of 2^-9 in bfloat16, 2^-12 in TF32, and the magnitudes of their products
    sum to less than |x| |a|, of which value_error is 16 EPS.
    """
    return value_error(case) * {"bf16": 2**-8, "tf32": 2**-11}[precision] / (16 * EPS)


@pytest.fixture(params=["bf16", "tf32"])
def precision(request, backend):
    """Those that a backend has."""
    if request.param == "tf32" and backend.name == "cpu":
        pytest.skip("processors have no TF32")
    return request.param


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**shapes)
def test_rounded_inputs_are_those_of_the_reference(backend, precision, **shape):
    case = make_case(**shape) | {"precision": precision}
    got, want = backend.expectation(**case), reference.expectation(**case)
    # Where single precision lands on the other side of a tie, a whole error is left.
    error = value_error(case) + rounding_error(case, precision)
    assert np.abs(got["statistics"][:, 3] - want["statistics"][:, 3]).max() <= error
    for name in ("class_posterior", "offset_posterior"):
        assert np.abs(got[name] - want[name]).max() <= 4 * error


def test_bf16_rounds_as_the_reference_does(backend):
    """Single precision errs by 2^-12 of a unit of bfloat16, so fewer than one rounding in 100 may differ.

    Their errors being independent, what is left of the effect of rounding is less than sqrt(4 / 100) of it.
    """
    assert left_of_rounding(backend, "bf16") <= 0.04


def test_tf32_rounds_as_the_reference_does(backend):
    """Single precision errs by some 2^-10 of a unit of TF32: fewer than one rounding in 12 differs."""
    if backend.name == "cpu":
        with pytest.raises(ValueError, match="neither TF32 nor stores of images"):
            backend.expectation(**(make_case(0) | {"precision": "tf32"}))
        return
    assert left_of_rounding(backend, "tf32") <= 4 / 12


def left_of_rounding(backend, precision):
    """Mean square of what differs from the reference, over that of what rounding does."""
    left, effect = [], []
    for seed in range(6):
        case = make_case(seed, images=30)
        single = reference.expectation(**case)["statistics"][:, 0]
        want = reference.expectation(**(case | {"precision": precision}))["statistics"][:, 0]
        got = backend.expectation(**(case | {"precision": precision}))["statistics"][:, 0]
        left.append(got - want)
        effect.append(want - single)
    return np.square(left).mean() / np.square(effect).mean()


def test_rounded_inputs_in_both_passes(backend, precision):
    case = make_case(11, images=9, snr=0.0)
    case["weights"] *= 0.1
    two = with_first_pass(case, 11)
    single = backend.expectation(**two)
    one, many = (backend.expectation(**(two | {"precision": precision, "threads": t})) for t in (1, 4))
    for name, value in one.items():
        assert (value == many[name]).all(), name
    assert (one["statistics"] != single["statistics"]).any()
    error = rounding_error(two, precision)
    assert np.abs(one["class_posterior"] - single["class_posterior"]).max() <= 4 * error
    # Classes in any number, most of them not a multiple of a register tile.
    for k in range(1, 6):
        few = two | {name: two[name][:k] for name in ("references", "power", "log_prior_class")}
        value = backend.expectation(**(few | {"precision": precision}))["statistics"][:, 3]
        assert np.abs(value - backend.expectation(**few)["statistics"][:, 3]).max() <= error
