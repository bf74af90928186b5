"""Files of a 2D classification: what is written is read back, in RELION's columns and order."""

import re
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from real_data import DATA

from boxwood.errors import FileFormatError
from boxwood.io.class2d_data import (
    SavedAssignments,
    assigned_table,
    read_assignments,
    scale_groups,
    sorted_by_micrograph,
)
from boxwood.io.class2d_model import SavedGroups, SavedModel, read_model, write_model
from boxwood.io.class2d_optimiser import fine_sampling, optimiser_table, sampling_table
from boxwood.io.mrc import write_stack
from boxwood.io.star import read_star

RELION5 = DATA / "bgal10204" / "relion5_class2d"
RELION31 = DATA / "formats" / "relion31_project" / "Class2D" / "job008"
needs_data = pytest.mark.skipif(not RELION5.is_dir(), reason="the shared real data is not here")

# A float takes 12 characters: six decimals, or six (negative: five) digits after the point of an exponent.
DECIMALS = {"rtol": 0.5e-5, "atol": 0.5e-5}


def model_of(classes=3, box=8, noise=2, of_groups=True):
    rng = np.random.default_rng(3)
    shells = box // 2 + 1
    return SavedModel(
        averages=rng.standard_normal((classes, box, box)).astype(np.float32),
        shares=np.full(classes, 1 / classes),
        resolution_angstrom=np.array([8.0, np.inf, 12.5])[:classes],
        accuracy_deg=np.array([1.5, 999.0, 0.25])[:classes],
        accuracy_angstrom=np.array([0.5, 999.0, 2.0])[:classes],
        ssnr=rng.uniform(0, 9, (classes, shells)),
        tau2=rng.uniform(1e-9, 1e-3, (classes, shells)),
        sigma2=rng.uniform(1e-9, 1e-3, (classes, shells)),
        noise=rng.uniform(1e-9, 1e-3, (noise, shells)),
        noise_of_groups=of_groups,
        groups=SavedGroups(np.array(["a b.mrc", "0002"], object), np.array([5, 7]), np.array([0.9, 1.1])),
        prior_offset_angstrom=rng.uniform(-2, 2, (classes, 2)),
        pixel_size_angstrom=3.54,
        regularisation=2.0,
        norm_average=0.98,
        sigma_offset_angstrom=9.5,
        log_likelihood=-1234567.0,
        largest_probability=0.25,
        image_size=6,
    )


@pytest.mark.parametrize(("dialect", "of_groups", "digits"), [("3.1", True, 6), ("5", False, 8)])
def test_a_model_comes_back(tmp_path, dialect, of_groups, digits):
    model = model_of(of_groups=of_groups)
    path, stack = tmp_path / "run_it003_model.star", tmp_path / "run_it003_classes.mrcs"
    write_model(path, stack, model, iteration=3, dialect=dialect)
    names = read_star(path)["model_classes"]["rlnReferenceImage"]
    assert names[0] == f"{1:0{digits}d}@{stack}"
    again = read_model(path)
    np.testing.assert_array_equal(again.averages, model.averages)  # float32, every bit
    assert list(again.groups.names) == list(model.groups.names)
    for field in fields(SavedModel):
        if field.name not in ("averages", "groups"):
            expected = getattr(model, field.name)
            np.testing.assert_allclose(getattr(again, field.name), expected, **DECIMALS, err_msg=field.name)


def test_a_moved_folder_is_read_and_a_wrong_stack_is_named(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    write_model(before / "m.star", before / "c.mrcs", model_of(), iteration=1, dialect="3.1")
    before.rename(after)
    assert read_model(after / "m.star").averages.shape == (3, 8, 8)
    write_stack(after / "c.mrcs", np.ones((2, 8, 8)), 3.54)
    with pytest.raises(FileFormatError, match="holds 2 images, but"):
        read_model(after / "m.star")


def test_what_relion_writes_of_empty_classes_is_read(tmp_path):
    path = tmp_path / "m.star"
    write_model(path, tmp_path / "c.mrcs", model_of(), iteration=1, dialect="5")
    text = path.read_text()
    row = next(line for line in text.splitlines() if line.startswith("00000002@"))
    words = row.split()
    words[4:6] = ["inf", "-nan"]
    path.write_text(text.replace(row, " ".join(words)))
    assert read_model(path).resolution_angstrom.tolist() == [8.0, np.inf, 12.5]
    path.write_text(text.replace("_rlnSsnrMap", "_rlnSomethingElse"))
    with pytest.raises(FileFormatError, match="rlnSsnrMap"):
        read_model(path)


def test_particles_are_sorted_and_keep_their_columns():
    table = pd.DataFrame(
        {
            "rlnMicrographName": [
                "MotionCorr/job002/b.mrc",
                "MotionCorr/job002/a.mrc",
                "MotionCorr/job002/b.mrc",
            ],
            "rlnAnglePsi": [0.0, 0.0, 0.0],
            "mine": [1, 2, 3],
        }
    )
    table = sorted_by_micrograph(table)
    assert table["mine"].tolist() == [2, 1, 3]
    names, group = scale_groups(table)
    assert list(names) == ["a.mrc", "b.mrc"] and group.tolist() == [0, 1, 1]
    given = SavedAssignments(
        class_number=np.array([1, 0, 3]),
        psi_deg=np.array([10.0, -20.0, 30.0]),
        origin_angstrom=np.arange(6.0).reshape(3, 2),
        norm=np.full(3, 0.5),
        log_likelihood=np.array([1.0, 2.0, 3.0]),
        largest_probability=np.array([0.1, 0.2, 0.3]),
        significant=np.array([4, 5, 6]),
    )
    out = assigned_table(table, group, given, iteration=2)
    assert list(out) == [
        "rlnMicrographName",
        "rlnAnglePsi",
        "mine",
        "rlnGroupNumber",
        "rlnAngleRot",
        "rlnAngleTilt",
        "rlnOriginXAngst",
        "rlnOriginYAngst",
        "rlnClassNumber",
        "rlnNormCorrection",
        "rlnLogLikeliContribution",
        "rlnMaxValueProbDistribution",
        "rlnNrOfSignificantSamples",
    ]
    again = read_assignments(out)
    for field in fields(SavedAssignments):
        np.testing.assert_array_equal(
            getattr(again, field.name), getattr(given, field.name), err_msg=field.name
        )
    fresh = read_assignments(table)
    assert fresh.norm.tolist() == [1, 1, 1] and not fresh.class_number.any()


@needs_data
@pytest.mark.parametrize(
    ("path", "dialect", "missing"),
    [
        (RELION5 / "run_it025_optimiser.star", "5", set()),
        (RELION5 / "run_it000_optimiser.star", "5", set()),
        # 3.1 before its release did not have this key yet.
        (RELION31 / "run_it025_optimiser.star", "3.1", {"rlnNrHelicalNStart"}),
    ],
)
def test_the_optimiser_has_relions_keys_in_relions_order(path, dialect, missing):
    theirs = read_star(path)["optimiser_general"]
    ours = optimiser_table(theirs, dialect)
    assert [key for key in ours if key not in missing] == list(theirs)
    # What a classification does not set is what RELION sets for it, but for its running estimates.
    estimates = {"Accuracy", "NumberOfIterWithout", "SmallestChanges", "PooledParticles"}
    for key, value in theirs.items():
        if not any(word in key for word in estimates):
            assert ours[key] == value, key


@needs_data
def test_sampling_is_relions():
    theirs = read_star(RELION5 / "run_it025_sampling.star")["sampling_general"]
    psi, offset_range, offset_step = fine_sampling(theirs, 1)
    assert (psi, offset_step) == (6.0, pytest.approx(3.54))
    ours = sampling_table(psi, offset_range, offset_step)
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert key == "rlnSamplingPerturbInstance" or ours[key] == pytest.approx(value), key


@needs_data
@pytest.mark.parametrize("iteration", [0, 25])
def test_relions_model_is_written_as_it_was_read(tmp_path, iteration):
    source = RELION5 / f"run_it{iteration:03d}_model.star"
    model = read_model(source)
    write_model(tmp_path / "m.star", tmp_path / "c.mrcs", model, iteration=iteration, dialect="5")
    theirs, ours = source.read_text(), (tmp_path / "m.star").read_text()
    # Not estimated here: accuracies, completeness of partly filled shells, offsets of classes.
    estimated = re.compile(r"0\d+@| +\d+ +[\d.]+ +[\d.]+ +[\d.e-]+ +[\d.]+ ")
    assert [line for line in theirs.splitlines() if not estimated.match(line)] == [
        line for line in ours.splitlines() if not estimated.match(line)
    ]
    again = read_model(tmp_path / "m.star")
    for field in fields(SavedModel):
        if field.name != "groups":
            np.testing.assert_array_equal(
                getattr(again, field.name), getattr(model, field.name), err_msg=field.name
            )
    assert list(again.groups.names) == list(model.groups.names)


@needs_data
def test_relions_particles_are_written_as_they_were_read(tmp_path):
    from boxwood.io.particles import ParticleSet

    source = RELION5 / "run_it025_data.star"
    particles = ParticleSet.read(source)
    table = sorted_by_micrograph(particles.table)
    pd.testing.assert_frame_equal(table, particles.table)
    _, group = scale_groups(table)
    given = read_assignments(table)
    out = assigned_table(table, group, given, iteration=25)
    replace(particles, table=out).write(tmp_path / "d.star", dialect="5")
    assert (tmp_path / "d.star").read_bytes() == source.read_bytes()
