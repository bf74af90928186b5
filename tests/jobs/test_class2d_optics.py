"""Optics groups of a particles STAR file, and particles that cannot be used, in the job class2d."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from boxwood.errors import InputError
from boxwood.io.class2d_model import read_model
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import write_star
from boxwood.jobs.class2d.files import IterationFiles, read_iteration
from boxwood.jobs.class2d.optics import optics_groups
from boxwood.jobs.class2d.particles import prepare
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

JOB = load_job("class2d")
COUNT = 45
SETTINGS = {
    "particles": "both.star",
    "classes": 3,
    "iterations": 3,
    "mask_diameter": 180.0,
    "psi_step": 18.0,
    "offset_range": 2.0,
}
# More digits than a STAR file keeps.
MAGNIFICATION = np.array([[1.0123456789, 0.01], [-0.02, 0.98765432101]])


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_particles):
    """`both.star`: 45 particles of 32 px at 7 Å, and 45 of 48 px at 5 Å with all that optics can have."""
    folder = tmp_path_factory.mktemp("project")
    sets = []
    for number, (box, pixel) in enumerate([(32, 7.0), (48, 5.0123456789)], 1):
        make_particles(folder / str(number), COUNT, box, pixel)
        one = ParticleSet.read(folder / str(number) / "particles.star")
        for label in ("rlnImageName", "rlnMicrographName"):
            one.table[label] = one.table[label].str.replace("Extract/", f"{number}/Extract/")
        one.table["rlnMicrographName"] += f"_{number}"
        one.table["rlnOpticsGroup"] = one.optics["rlnOpticsGroup"] = number
        one.optics["rlnImagePixelSize"] = pixel
        sets.append(one)
    optics = pd.concat([one.optics for one in sets], ignore_index=True)
    for i, j in np.ndindex(2, 2):
        optics[f"rlnMagMat{i}{j}"] = [np.eye(2)[i, j], MAGNIFICATION[i, j]]
    optics["rlnBeamTiltX"], optics["rlnBeamTiltY"] = [0.0, 0.3], [0.0, -0.1]
    optics["rlnOddZernike"] = ["None", "[0.1,0.2,-3,1,0,2]"]
    optics["rlnEvenZernike"] = ["None", "[0.1,0,0,0,5,6,7,8,9]"]
    optics["rlnMtfFileName"], optics["rlnMicrographOriginalPixelSize"] = ["None", "mtf.star"], 1.5
    mtf = pd.DataFrame({"rlnResolutionInversePixel": [0.0, 0.25, 0.5], "rlnMtfValue": [1.0, 0.7, 0.3]})
    write_star(folder / "mtf.star", {"": mtf})
    both = ParticleSet(optics, pd.concat([one.table for one in sets], ignore_index=True))
    both.write(folder / "both.star")
    run_job(JOB, SETTINGS, project=folder, output="out", threads=2)
    return folder


def test_both_groups_are_classified_and_keep_their_optics(project):
    given, after = (ParticleSet.read(project / name) for name in ("both.star", "out/run_it003_data.star"))
    pd.testing.assert_frame_equal(after.optics, given.optics)
    assert after.table["rlnClassNumber"].between(1, 3).all()
    model = read_model(project / "out/run_it003_model.star")
    assert model.averages.shape == (3, 32, 32) and model.pixel_size_angstrom == 7.0
    assert len(np.unique(after.table["rlnOpticsGroup"])) == 2


def test_going_on_has_all_digits_of_the_optics(project, tmp_path):
    start = "out/run_it001_optimiser.star"
    run_job(JOB, {}, project=project, output=tmp_path, continue_from=start, threads=1)
    one, two = (read_iteration(IterationFiles(f"{f}/run", 3))[0].result for f in (project / "out", tmp_path))
    np.testing.assert_array_equal(one.model.references, two.model.references)
    np.testing.assert_array_equal(one.assignments.offset_px, two.assignments.offset_px)


def test_star_files_have_the_noise_and_scale_of_both_groups(project, tmp_path):
    for path in (project / "out").glob("run_it003_*[!z]"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (exact, _), (star, data) = (
        read_iteration(IterationFiles(f"{folder}/run", 3)) for folder in (project / "out", tmp_path)
    )
    # Six decimals are printed; RELION 3's model.star has noise by micrograph, ours by optics group.
    _, first = np.unique(data.noise_group, return_index=True)
    want = exact.result.model.sigma2[data.optics_group[first]]
    np.testing.assert_allclose(star.result.model.sigma2, want, rtol=1e-3)
    np.testing.assert_allclose(star.result.model.scale, exact.result.model.scale, rtol=1e-5)


def test_origins_are_those_of_the_image_as_recorded(project):
    state, data = read_iteration(IterationFiles(f"{project}/out/run", 3))
    table = ParticleSet.read(project / "out/run_it003_data.star").table
    origin = table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy()
    want = state.result.assignments.offset_px * 7.0
    second = (table["rlnOpticsGroup"] == 2).to_numpy()
    np.testing.assert_allclose(origin[~second], want[~second], atol=1e-5)
    np.testing.assert_allclose(origin[second], want[second] @ MAGNIFICATION, atol=1e-5)
    assert data.pixel_size_angstrom == 7.0


def test_the_table_is_read_as_it_is_written(project):
    particles = ParticleSet.read(project / "both.star")
    heard = []
    first, second = optics_groups(particles, np.array([32, 48]), project, ctf=True, warn=heard.append)
    assert (first.box_px, first.pixel_size_angstrom, first.mtf, first.odd_zernike) == (32, 7.0, None, ())
    assert second.box_px == 48 and second.beam_tilt_mrad == (0.3, -0.1) and second.voltage_kv == 200.0
    assert second.odd_zernike == (0.1, 0.2, -3, 1, 0, 2) and second.even_zernike == (
        0.1,
        0,
        0,
        0,
        5,
        6,
        7,
        8,
        9,
    )
    np.testing.assert_allclose(second.mtf, [[0, 1], [0.25 / 1.5, 0.7], [0.5 / 1.5, 0.3]])
    np.testing.assert_allclose(second.magnification, MAGNIFICATION, atol=1e-6)
    assert not heard
    _, plain = optics_groups(particles, np.array([32, 48]), project, ctf=False, warn=heard.append)
    assert plain.mtf is None and not plain.odd_zernike and plain.beam_tilt_mrad == (0.0, 0.0)
    optics_groups(particles, np.array([32, 48]), project / "elsewhere", ctf=True, warn=heard.append)
    assert len(heard) == 1 and "mtf.star" in heard[0] and "is not corrected for" in heard[0]


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [
        ("rlnOddZernike", "[1,x]", "expected numbers like"),
        ("rlnBeamTiltX", np.nan, "has a beam tilt of"),
        ("rlnMagMat00", 9.0, "should be near to the identity"),
    ],
)
def test_values_that_make_no_sense_are_refused(project, label, value, sentence):
    particles = ParticleSet.read(project / "both.star")
    particles.optics.loc[1, label] = value
    with pytest.raises(InputError, match=sentence):
        optics_groups(particles, np.array([32, 48]), project, ctf=True, warn=print)


def test_a_missing_mtf_is_a_warning(project, tmp_path):
    particles = ParticleSet.read(project / "both.star")
    particles.optics = particles.optics.drop(columns="rlnMicrographOriginalPixelSize")
    heard = []
    optics_groups(particles, np.array([32, 48]), project, ctf=True, warn=heard.append)
    assert len(heard) == 1 and "_rlnMicrographOriginalPixelSize" in heard[0]


def test_bad_ctf_columns_are_named_and_the_others_go_on(tmp_path, make_particles):
    make_particles(tmp_path, COUNT, 32, 7.0)
    particles = ParticleSet.read(tmp_path / "particles.star")
    two = particles.optics.assign(rlnOpticsGroup=2, rlnOpticsGroupName="two", rlnVoltage=0.0)
    particles.optics = pd.concat([particles.optics, two], ignore_index=True)
    particles.table["mine"] = np.arange(COUNT)
    particles.table.loc[3, "rlnDefocusU"] = np.nan
    particles.table.loc[[5, 8], "rlnOpticsGroup"] = 2
    particles.write(tmp_path / "particles.star")
    values = {**SETTINGS, "particles": "particles.star", "iterations": 1}
    result = run_job(JOB, values, project=tmp_path, output="out", threads=2)
    assert {name for name, _ in result.bad} == set(particles.table.loc[[3, 5, 8], "rlnImageName"])
    assert all("its CTF parameters are no numbers" in reason for _, reason in result.bad)
    table = ParticleSet.read(tmp_path / "out/run_it001_data.star").table
    assert sorted(table.loc[table["rlnClassNumber"] == 0, "mine"]) == [3, 5, 8]


def test_a_stack_that_is_cut_short_while_it_is_read_is_named(tmp_path, make_particles):
    make_particles(tmp_path, COUNT, 32, 7.0)
    particles = ParticleSet.read(tmp_path / "particles.star")
    data = prepare(
        particles, ctf=True, ctf_phase_flipped=False, ctf_intact_first_peak=False, noise_groups="optics"
    )
    source = data.source()
    path = tmp_path / "Extract/job007/m1.mrcs"
    path.write_bytes(path.read_bytes()[:-100])
    images = source.read(np.arange(COUNT))
    stack = data.particles.table["rlnImageName"].str.endswith("m1.mrcs")
    last = data.particles.table["rlnImageName"][stack].max()  # the only one whose pixels are not all there
    lost = (data.particles.table["rlnImageName"] == last).to_numpy()
    np.testing.assert_array_equal(np.isnan(images).any(axis=(1, 2)), lost)
    assert set(source.images.bad) == {last}


def test_normalise_reaches_the_images(tmp_path, make_particles):
    make_particles(tmp_path, COUNT, 32, 7.0)
    for path in (tmp_path / "Extract/job007").glob("*.mrcs"):
        write_stack(path, read_stack(path)[:] * 30 + 200, 7.0)
    values = {**SETTINGS, "particles": "particles.star", "iterations": 1}
    run_job(JOB, {**values, "normalise": True}, project=tmp_path, output="on", threads=2)
    run_job(JOB, values, project=tmp_path, output="off", threads=2)
    on, off = (
        read_iteration(IterationFiles(f"{tmp_path}/{f}/run", 1))[0].result.model for f in ("on", "off")
    )
    # 30 squared is taken from the noise, the ramps change it a little.
    assert (off.sigma2 / on.sigma2).mean() == pytest.approx(900, rel=0.1)


def test_groups_without_particles_need_no_size(project, tmp_path):
    particles = ParticleSet.read(project / "both.star")
    table = particles.table[particles.table["rlnOpticsGroup"] == 2]
    replace(particles, table=table).write(tmp_path / "second.star")
    values = {**SETTINGS, "particles": tmp_path / "second.star", "iterations": 1}
    run_job(JOB, values, project=project, output=tmp_path / "out", threads=2)
    assert read_model(tmp_path / "out/run_it001_model.star").averages.shape == (3, 48, 48)
