"""Orientations, origins and CTF have the signs of RELION's own projections."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from boxwood.io.mrc import read_stack
from boxwood.io.stacks import write_stack
from boxwood.io.star import write_star
from boxwood.simulate import GaussianPhantom, ctf_rows
from boxwood.simulate.particles import apply_ctf
from boxwood.simulate.rotations import random_orientations, rotation_matrices

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_project") is None, reason="RELION is not installed"),
]
BOX, PIXEL, N = 64, 3.54, 6


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A lopsided map and six orientations, in a folder where relion_project can be run."""
    folder = tmp_path_factory.mktemp("relion_project")
    rng = np.random.default_rng(3)
    phantom = GaussianPhantom(rng.uniform(-40, 40, (40, 3)), 6.0)
    angles, origins = random_orientations(N, rng), rng.uniform(-4, 4, (N, 2))
    rows = ctf_rows(N, rng, astigmatism_angstrom=3000)
    write_stack(folder / "map.mrc", phantom.density(BOX, PIXEL), PIXEL)
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"],
        "rlnOpticsGroup": [1],
        "rlnVoltage": [200.0],
        "rlnSphericalAberration": [1.4],
        "rlnAmplitudeContrast": [0.1],
        "rlnImagePixelSize": [PIXEL],
        "rlnImageSize": [BOX],
        "rlnImageDimensionality": [2],
    }
    particles = {
        "rlnImageName": [f"{i + 1:06d}@images.mrcs" for i in range(N)],
        "rlnOpticsGroup": 1,
        **dict(zip(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), angles.T, strict=True)),
        **dict(zip(("rlnOriginXAngst", "rlnOriginYAngst"), PIXEL * origins.T, strict=True)),
        **dict(zip(("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"), rows.T[:3], strict=True)),
    }
    tables = {"optics": pd.DataFrame(optics), "particles": pd.DataFrame(particles)}
    write_star(folder / "angles.star", tables)
    images = phantom.project(rotation_matrices(angles), BOX, PIXEL, -origins)
    return folder, images, rows


def relion_images(folder, name, *arguments):
    command = ["relion_project", "--i", "map.mrc", "--ang", "angles.star", "--angpix", str(PIXEL)]
    subprocess.run([*command, "--o", name, *arguments], cwd=folder, check=True, capture_output=True)
    return read_stack(folder / f"{name}.mrcs")[:]


def assert_alike(ours, theirs):
    """Equal up to RELION's scale and its linear interpolation, some 1e-4 in correlation."""
    for image, other in zip(ours, theirs, strict=True):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] > 0.9995


def test_orientations_and_origins(scene):
    folder, images, _ = scene
    assert_alike(images, relion_images(folder, "plain"))


def test_ctf(scene):
    folder, images, rows = scene
    seen = images.copy()
    apply_ctf(seen, rows, PIXEL, backend="cpu", threads=1)
    assert_alike(seen, relion_images(folder, "ctf", "--ctf"))
