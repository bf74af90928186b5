"""RELION and we mean the same by beam tilt, Zernike coefficients and the magnification matrix."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from boxwood.backends import get_backend
from boxwood.class2d.optics import OpticsGroup, SampledOptics
from boxwood.imaging.aberrations import beam_tilt_phase, zernike_phase
from boxwood.imaging.polar import PolarGrid
from boxwood.io.mrc import read_stack, write_stack
from boxwood.io.star import write_star

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="RELION is not installed"),
]
BOX, PIXEL = 64, 2.0
AXIS = np.arange(BOX) - BOX // 2
# Frequencies up to 26 of the 32 rings, and no zero.
X, Y = (a.ravel() for a in np.meshgrid(AXIS, AXIS))
INSIDE = (np.hypot(X, Y) < 26) & (np.hypot(X, Y) > 0)
FREQUENCIES = np.stack([X, Y], axis=1)[INSIDE] / (BOX * PIXEL)
OPTICS = {
    "rlnOpticsGroupName": "one",
    "rlnOpticsGroup": 1,
    "rlnVoltage": 300.0,
    "rlnSphericalAberration": 0.1,
    "rlnAmplitudeContrast": 0.0,
    "rlnImagePixelSize": PIXEL,
    "rlnImageSize": BOX,
    "rlnImageDimensionality": 2,
}
# A phase plate of 45 degrees and next to no defocus: a CTF without zeros, which shows the sign of a phase.
PARTICLE = {
    "rlnImageName": "1@image.mrcs",
    "rlnOpticsGroup": 1,
    **dict.fromkeys(
        ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"], 0.0
    ),
    "rlnDefocusU": 1.0,
    "rlnDefocusV": 1.0,
    "rlnDefocusAngle": 0.0,
    "rlnPhaseShift": 45.0,
}


def transform(image):
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image))).ravel()[INSIDE]


def blob(x, y, width=1.5):
    grid = np.exp(-((AXIS[None, :] - x) ** 2 + (AXIS[:, None] - y) ** 2) / (2 * width**2))
    return grid.astype(np.float32)


def point():
    image = np.zeros((BOX, BOX), dtype=np.float32)
    image[BOX // 2, BOX // 2] = 100
    return image


@pytest.fixture
def relion(tmp_path):
    """Runs a program on one particle with more columns in its optics; returns the image it writes."""

    def run(image, optics, *command, particle=(), output):
        write_stack(tmp_path / "image.mrcs", image[None], PIXEL)
        rows = {"optics": {**OPTICS, **optics}, "particles": {**PARTICLE, **dict(particle)}}
        write_star(tmp_path / "p.star", {name: pd.DataFrame([row]) for name, row in rows.items()})
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return read_stack(tmp_path / output)[0].astype(np.float64)

    return run


def reconstruct(relion, image, optics, particle=()):
    command = ["relion_reconstruct", "--i", "p.star", "--o", "o.mrc", "--refdim", "2", "--skip_gridding"]
    return relion(image, optics, *command, "--ctf", particle=particle, output="o.mrc")


def project(relion, folder, optics, particle=()):
    """What RELION says a point looks like: its CTF."""
    volume = np.zeros((BOX, BOX, BOX), dtype=np.float32)
    volume[BOX // 2, BOX // 2, BOX // 2] = 1
    write_stack(folder / "volume.mrc", volume, PIXEL)
    command = ["relion_project", "--i", "volume.mrc", "--ang", "p.star", "--o", "o", "--ctf"]
    image = relion(point(), optics, *command, "--angpix", str(PIXEL), particle=particle, output="o.mrcs")
    return transform(image).real


def test_odd_phases_are_taken_away_with_relions_sign(relion):
    plain = transform(reconstruct(relion, point(), {}))
    for optics, phase in [
        ({"rlnBeamTiltX": 8.0, "rlnBeamTiltY": -5.0}, beam_tilt_phase((8, -5), 300.0, 0.1, FREQUENCIES)),
        (
            {"rlnOddZernike": "[0.5,-0.4,2,0.2,0.3,-3]"},
            zernike_phase([0.5, -0.4, 2, 0.2, 0.3, -3], FREQUENCIES, odd=True),
        ),
    ]:
        turned = np.angle(transform(reconstruct(relion, point(), optics)) / plain)
        # RELION interpolates linearly in a twofold padded transform, which costs a few per cent.
        assert np.abs(turned + phase).max() < 0.05 * np.abs(phase).max()


def test_even_phases_and_the_magnification_enter_the_ctf_as_in_relion(relion, tmp_path):
    matrix = np.array([[1.05, 0.03], [-0.02, 0.96]])
    columns = {f"rlnMagMat{i}{j}": matrix[i, j] for i in (0, 1) for j in (0, 1)}
    even = (0.1, 3.0, -0.2, 4.0, 20.0, 0.3, 0.1, -0.4, 30.0)
    particle = {"rlnDefocusU": 900.0, "rlnDefocusV": 500.0, "rlnDefocusAngle": 20.0}
    rows = np.array([[900.0, 500.0, 20.0, 45.0, 300.0, 0.1, 0.0, 0.0, 1.0]])
    for optics, group in [
        ({"rlnEvenZernike": str(list(even)).replace(" ", "")}, OpticsGroup(BOX, PIXEL, even_zernike=even)),
        (columns, OpticsGroup(BOX, PIXEL, matrix)),
    ]:
        got = project(relion, tmp_path, optics, particle)
        sampled = SampledOptics(group, OpticsGroup(BOX, PIXEL), PolarGrid(BOX, 20, 3, 20), 40, 10)
        # The image's frequency k shows the particle's frequency M k, and its CTF there.
        at = (FREQUENCIES @ group.magnification.T).astype(np.float32)
        want = sampled._ctf_at(at, rows, 1, 0, get_backend("reference"), 1) if sampled.inside.all() else None
        assert want is not None
        reached = np.hypot(*at.T) < 26 / (BOX * PIXEL)
        np.testing.assert_allclose(got[reached], want[0][reached], atol=0.01)


def test_a_magnified_image_shows_the_point_where_relion_says(relion):
    matrix = np.array([[1.05, 0.03], [-0.02, 0.96]])
    columns = {f"rlnMagMat{i}{j}": matrix[i, j] for i in (0, 1) for j in (0, 1)}
    group = OpticsGroup(BOX, PIXEL, matrix)
    grid = PolarGrid(BOX, 25, 3, 20)
    sampled = SampledOptics(group, OpticsGroup(BOX, PIXEL), grid, 50, 10)
    samples, _ = sampled.transform(blob(9, -6)[None], np.zeros((1, 2)), get_backend("reference"), 1)
    # Position of the blob in the particle's frame, from the phases of the first ring.
    first = slice(0, grid.sample_start[1])
    ours, *_ = np.linalg.lstsq(
        -2 * np.pi * grid.positions[first].astype(float) / BOX, np.angle(samples[0, first]), rcond=None
    )
    image = reconstruct(relion, blob(9, -6), columns)
    weight = np.where(image > 0.3 * image.max(), image, 0)
    theirs = [(weight.sum(axis) * AXIS).sum() / weight.sum() for axis in (0, 1)]
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    # Offsets are measured in the image: the shift of the particle there.
    moved = reconstruct(relion, blob(9, -6), columns, {"rlnOriginXAngst": 8.0, "rlnOriginYAngst": 12.0})
    weight = np.where(moved > 0.3 * moved.max(), moved, 0)
    there = np.array([(weight.sum(axis) * AXIS).sum() / weight.sum() for axis in (0, 1)])
    offset = there - theirs  # in pixels of the model
    np.testing.assert_allclose(sampled.offsets_in_image(offset) * PIXEL, [8.0, 12.0], atol=0.3)
