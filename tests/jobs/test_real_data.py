"""The jobs on real data: classes of the tutorial's particles, and rings from apoferritin micrographs."""

import numpy as np
import pandas as pd
import pytest

from boxwood.backends import get_backend
from boxwood.class2d import Class2DParameters, classify2d
from boxwood.imaging.polar import PolarGrid
from boxwood.io.mrc import read_image, read_stack, write_stack
from boxwood.io.particles import ParticleSet, ctf_rows
from boxwood.io.star import write_star
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.simulate.rotations import random_orientations, rotation_matrices
from boxwood.simulate.volume import Volume


def best_correlation(averages, projections):
    """(k,) largest correlation of each average with a projection, over angles, offsets and projections.

    Angles by the expectation kernel in its hard mode, which maximises cross / sqrt(norm).
    """
    backend, box, rings = get_backend("cpu"), averages.shape[1], 19
    grid = PolarGrid(box, 28.0, 5.0, rings)
    flat = np.ones((box, box), np.float32)
    x, y = (backend.polar_transform(im, None, flat, grid.positions, 2)[0] for im in (averages, projections))
    r = np.arange(1, rings + 1)
    weights = np.where(r >= 4, 2 * np.pi * r, 0.0) / grid.ring_samples  # 57 to 12 Angstrom
    axis = np.arange(-4, 5)
    offsets = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    phases = np.exp(-2j * np.pi * (offsets @ (grid.positions.astype(float) / box).T)).astype(np.complex64)
    n = len(averages)
    result = backend.expectation(
        images=x,
        ctf=np.ones(x.shape, np.float32),
        group=np.zeros(n, np.int32),
        weights=weights[None].astype(np.float32),
        scale=np.ones((n, 2), np.float32),
        ring_samples=grid.ring_samples,
        ring_harmonics=grid.ring_harmonics,
        references=grid.harmonics(y, rings).astype(np.complex64),
        power=grid.power_harmonics(y, rings).astype(np.complex64),
        phases=phases,
        log_prior_offset=np.zeros((n, len(offsets)), np.float32),
        log_prior_class=np.zeros(len(projections), np.float32),
        log_prior_psi=None,
        coarse_phases=np.zeros((0, 0), np.complex64),
        parent=np.zeros(0, np.int32),
        coarse_log_prior_offset=np.zeros((n, 0), np.float32),
        psi=60,
        hard=True,
        cut=1.0,
        fraction=1.0,
        top=0,
        precision="float32",
        threads=2,
    )
    size = (np.repeat(weights, grid.ring_samples // 2) * 2 * np.abs(x) ** 2).sum(axis=1)
    return result["statistics"][:, 3] / np.sqrt(size)


@pytest.mark.slow
@pytest.mark.data
def test_the_tutorials_particles_fall_into_views_of_the_tetramer(shared_data):
    particles = ParticleSet.read(shared_data / "bgal10204/particles.star")
    images = particles.images().read(np.arange(len(particles)))
    micrographs = pd.factorize(particles.table["rlnMicrographName"])[0]
    parameters = Class2DParameters(classes=50, iterations=10)
    *_, last = classify2d(
        images, ctf_rows(particles), pixel_size_angstrom=3.54, micrographs=micrographs, parameters=parameters
    )
    assert last.bad == ()
    populated = len(np.unique(last.assignments.class_index))
    assert populated >= 30
    volume = Volume(np.asarray(read_stack(shared_data / "maps/ngl_betaGal.mrc")[:]), 3.54)
    angles = random_orientations(100, np.random.default_rng(1))
    projections = volume.project(rotation_matrices(angles), 64, 3.54)
    ours = best_correlation(last.class_averages, projections)
    # RELION 5's averages of these particles, after its 25 iterations, on the same measure.
    theirs = read_stack(shared_data / "bgal10204/relion5_class2d/run_it025_classes.mrcs")[:]
    peer = best_correlation(theirs[theirs.std(axis=(1, 2)) > 0], projections)
    assert (ours * last.model.shares).sum() > peer.mean()
    assert (ours > 0.75).sum() > (peer > 0.75).sum()


@pytest.mark.slow
@pytest.mark.data
def test_apoferritin_micrographs_give_rings(shared_data, tmp_path):
    """Pick, extract and classify two micrographs: most averages are rings of the size of the particle."""
    names = []
    for picture in sorted((shared_data / "apoferritin10146").glob("*.png"))[:2]:
        names.append(f"Micrographs/{picture.stem}.mrc")
        (tmp_path / "Micrographs").mkdir(exist_ok=True)
        write_stack(tmp_path / names[-1], read_image(picture).data, 1.5)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnMicrographPixelSize": [1.5],
            "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7],
            "rlnAmplitudeContrast": [0.1],
        }
    )
    table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    write_star(tmp_path / "micrographs.star", {"optics": optics, "micrographs": table})
    picking = {"min_diameter": 140, "max_diameter": 170, "max_resolution": 30, "neighbour_percent": 60}
    boxes = {"box_size": 128, "rescale": 64, "background_diameter": 96}
    classes = {"classes": 6, "iterations": 12, "mask_diameter": 135, "ctf": False}
    star = {"micrographs": "micrographs.star"}
    run_job(load_job("autopick"), star | picking, project=tmp_path, output=tmp_path / "pick")
    run_job(
        load_job("extract"), star | {"coordinates": "pick"} | boxes, project=tmp_path, output=tmp_path / "box"
    )
    run_job(
        load_job("class2d"),
        {"particles": "box/particles.star"} | classes,
        project=tmp_path,
        output=tmp_path / "classes",
    )
    averages = read_stack(tmp_path / "classes/run_it012_classes.mrcs")[:]
    found = ParticleSet.read(tmp_path / "classes/run_it012_data.star").table["rlnClassNumber"].to_numpy()
    axis = np.arange(64) - 32
    radius = np.hypot(axis[:, None], axis[None, :])
    inside, shell, outside = radius < 5, (radius > 12) & (radius < 18), (radius > 23) & (radius < 26)
    # A hollow shell of about 100 Angstrom: bright at 15 px of 3 Angstrom, darker inside and outside.
    ring = [
        a[shell].mean() > a[inside].mean() + 0.5 * a.std()
        and a[shell].mean() > a[outside].mean() + 0.5 * a.std()
        for a in averages
    ]
    members = np.bincount(found, minlength=7)[1:]
    assert members[ring].sum() > 0.5 * members.sum()
