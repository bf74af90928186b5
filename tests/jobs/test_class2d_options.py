"""The options of the Class2D job become the settings of the algorithm."""

from dataclasses import replace

from boxwood.jobs.registry import load_job

JOB = load_job("class2d")
# Settings that mini-batches refuse.
ONLY_EM = ("fast_subsets", "until_converged", "merge_duplicates")


def test_every_option_reaches_the_algorithm():
    given = {
        "classes": 7,
        "iterations": 30,
        "regularisation": 4.0,
        "mask_diameter": 123.0,
        "psi_step": 5.0,
        "offset_range": 4.0,
        "offset_step": 2.0,
        "search": "exhaustive",
        "adaptive_fraction": 0.99,
        "zero_mask": False,
        "limit_resolution": 12.0,
        "limit_low_resolution": 90.0,
        "initial_resolution": 30.0,
        "skip_rotate": True,
        "allow_coarser_sampling": True,
        "first_iteration_cc": True,
        "save_posterior": 5,
        "align": False,
        "algorithm": "vdam",
        "mini_batches": 50,
        "batch_size": 90,
        "recipe": "plain",
        "offset_prior": "relion",
        "norm_correction": False,
        "scale_correction": False,
        "center_classes": False,
        "normalise": True,
        "seed": 9,
        "precision": "bf16",
        "memory_gib": 0.5,
    }
    parameters = JOB.options(**given).parameters()
    defaults = JOB.options(mask_diameter=200.0).parameters()
    assert defaults.limit_resolution_angstrom is None
    for name in ONLY_EM:
        assert getattr(JOB.options(**{"mask_diameter": 200.0, name: True}).parameters(), name)
    # Every setting has an option, but the cut of the posterior and those of live jobs.
    without = ("cut", "restarted", "unseen_first", *ONLY_EM)
    for name, value in vars(parameters).items():
        assert name in without or value != getattr(defaults, name), name
    assert JOB.options(mask_diameter=200.0, limit_resolution=-1).parameters() == defaults
    earlier = replace(parameters, iterations=12)
    assert JOB.options(iterations=25).changes(earlier, {"iterations"}) == replace(parameters, iterations=25)
    assert JOB.options(psi_step=3).changes(earlier, {"psi_step"}) == replace(earlier, psi_step_deg=3.0)


def test_options_without_effect_are_known():
    options = JOB.options(mask_diameter=200.0, mini_batches=50, batch_size=90, write_every=10, iterations=9)
    given = ["mini_batches", "batch_size", "write_every", "iterations"]
    assert [o.name for o in options.idle(given)] == ["mini_batches", "batch_size"]
    assert [o.name for o in replace(options, algorithm="vdam").idle(given)] == ["iterations"]
