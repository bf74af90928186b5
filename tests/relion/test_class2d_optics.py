"""RELION goes on from our iteration of particles with two pixel and box sizes, and finds what we find."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from boxwood.io.class2d_data import read_assignments
from boxwood.io.class2d_model import read_model
from boxwood.io.mrc import write_stack
from boxwood.io.particles import ParticleSet
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job
from boxwood.simulate import simulate_particles

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_refine") is None, reason="relion_refine is not installed"),
]
COUNT, LAST, PIXEL = 100, 5, 7.0
SETTINGS = {
    "particles": "particles.star",
    "classes": 3,
    "iterations": LAST + 1,
    "mask_diameter": 140.0,
    "psi_step": 12.0,
    "offset_range": 3.0,
    "recipe": "plain",
    "offset_prior": "relion",
    "noise_groups": "micrograph",
}


def write_particles(folder):
    tables, optics = [], []
    for group, (box, pixel) in enumerate([(32, PIXEL), (48, 5.0)], 1):
        found = simulate_particles(
            COUNT,
            box,
            pixel,
            classes=3,
            snr=0.5 * (pixel / PIXEL) ** 2,
            max_offset_px=10 / pixel,
            coloured_noise=0,
            seed=2,
        )
        write_stack(folder / f"s{group}.mrcs", found.images, pixel)
        columns = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
        table = pd.DataFrame(dict(zip(columns, found.ctf_rows.T, strict=False)))
        table["rlnImageName"] = [f"{i + 1:06d}@s{group}.mrcs" for i in range(COUNT)]
        tables.append(table.assign(rlnMicrographName=f"m{group}.mrc", rlnOpticsGroup=group))
        row = {"rlnOpticsGroupName": f"o{group}", "rlnOpticsGroup": group, "rlnVoltage": 200.0}
        row |= {"rlnSphericalAberration": 1.4, "rlnAmplitudeContrast": 0.1, "rlnImagePixelSize": pixel}
        optics.append(row | {"rlnImageSize": box, "rlnImageDimensionality": 2})
    ParticleSet(pd.DataFrame(optics), pd.concat(tables, ignore_index=True)).write(folder / "particles.star")


def test_relion_goes_on_with_both_groups_as_we_do(tmp_path):
    write_particles(tmp_path)
    run_job(load_job("class2d"), SETTINGS, project=tmp_path, output="ours", threads=2)
    (tmp_path / "theirs").mkdir()
    words = ["--continue", f"ours/run_it{LAST:03d}_optimiser.star", "--o", "theirs/run", "--iter", LAST + 1]
    subprocess.run(
        ["relion_refine", *map(str, words), "--j", "1"], cwd=tmp_path, check=True, capture_output=True
    )
    ours, theirs = (tmp_path / folder / f"run_it{LAST + 1:03d}" for folder in ("ours", "theirs"))
    us, they = (read_assignments(ParticleSet.read(f"{run}_data.star").table) for run in (ours, theirs))
    for group in (slice(0, COUNT), slice(COUNT, 2 * COUNT)):
        same = us.class_number[group] == they.class_number[group]
        turn = np.abs((us.psi_deg[group] - they.psi_deg[group] + 180) % 360 - 180)[same]
        shift = np.abs(us.origin_angstrom[group] - they.origin_angstrom[group]).max(axis=1)[same]
        assert same.mean() > 0.9
        # Both programs turn and shift their grids by a random part of a step.
        assert (turn <= SETTINGS["psi_step"]).mean() > 0.9 and (shift <= 1.5 * PIXEL).mean() > 0.95
    one, two = (read_model(f"{run}_model.star") for run in (ours, theirs))
    # What RELION makes of the second group's grey values is what we tell it to expect.
    ratio = one.noise[:, 2:14] / two.noise[:, 2:14]
    np.testing.assert_allclose(np.median(ratio, axis=1), 1, atol=0.15)
    relative = [model.groups.scale[1] / model.groups.scale[0] for model in (one, two)]
    assert relative[0] == pytest.approx(relative[1], rel=0.1)
    for a, b in zip(one.averages, two.averages, strict=True):
        if a.any() and b.any():
            assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95
            assert a.std() == pytest.approx(b.std(), rel=0.2)
