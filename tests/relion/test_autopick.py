"""The same picks as the real relion_autopick 3.1, with every option that its Laplacian picker has."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_image, write_stack
from boxwood.picking import pick_log
from boxwood.picking.templates.relion_noise import numbers_for

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(
        shutil.which("relion_autopick") is None, reason="no relion_autopick: apt-get install relion"
    ),
]
PIXEL = 3.5

MICROGRAPHS = """
data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
_rlnVoltage #4
_rlnSphericalAberration #5
_rlnAmplitudeContrast #6
one 1 {pixel} 300 2.7 0.1

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
"""


def discs(shape, seed=0, diameter=20, noise=3.0):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal(shape, dtype=np.float32) * np.float32(noise) + 20
    y, x = np.ogrid[-diameter:diameter, -diameter:diameter]
    disc = 2 * (y**2 + x**2 < (diameter / 2) ** 2)
    for _ in range(np.prod(shape) // (60 * diameter**2 // 4)):
        cy, cx = rng.integers(diameter, np.array(shape) - diameter)
        image[cy - diameter : cy + diameter, cx - diameter : cx + diameter] -= disc
    return image


def relion_picks(folder, images, pixel, *options):
    """Run relion_autopick as its form would; (n, 3) arrays of x, y, figure of merit."""
    names = [f"m{i}.mrc" for i in range(len(images))]
    for name, image in zip(names, images, strict=True):
        write_stack(folder / name, image[None], pixel_size_angstrom=pixel)
    rows = "".join(f"{name} 1\n" for name in names)
    (folder / "micrographs.star").write_text(MICROGRAPHS.format(pixel=pixel) + rows)
    (folder / "picks").mkdir()
    command = ["relion_autopick", "--i", "micrographs.star", "--odir", "picks/", "--pickname", "autopick"]
    command += ["--LoG", *map(str, options)]
    # With no pick on any micrograph it fails at its plots, after writing the coordinate files.
    subprocess.run(command, cwd=folder, check=False, capture_output=True)
    labels = ["rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"]
    tables = [read_coordinates(folder / f"picks/{Path(name).stem}_autopick.star") for name in names]
    return [t[labels].to_numpy() if len(t) else np.zeros((0, 3)) for t in tables]


def agreement(picks, relion):
    """Count picks of both within 0.1 pixel, whose figures of merit must agree."""
    ours = np.column_stack([picks.x, picks.y, picks.fom])
    pairs = np.argwhere(np.hypot(*(ours[:, None, :2] - relion[None, :, :2]).T).T <= 0.1)
    fom, relions_fom = ours[pairs[:, 0], 2], relion[pairs[:, 1], 2]
    # RELION prints six decimals
    assert np.allclose(fom, relions_fom, rtol=1e-4, atol=0.6e-6)
    return len(pairs)


def check(folder, images, pixel, *flags, min_diameter=60, max_diameter=80, max_resolution=20, **options):
    relion = relion_picks(
        folder,
        images,
        pixel,
        *("--LoG_diam_min", min_diameter, "--LoG_diam_max", max_diameter),
        *("--lowpass", max_resolution, *(flags if "--shrink" in flags else ("--shrink", 0, *flags))),
    )
    same, ours_total, total = 0, 0, 0
    for i, (image, wanted) in enumerate(zip(images, relion, strict=True)):
        picks = pick_log(
            image,
            pixel,
            min_diameter=min_diameter,
            max_diameter=max_diameter,
            max_resolution=max_resolution,
            outside=numbers_for(1, i, max(image.shape) ** 2 - image.size),
            **options,
        )
        same += agreement(picks, wanted)
        ours_total += len(picks)
        total += len(wanted)
    assert ours_total == pytest.approx(total, rel=0.005)
    assert same >= 0.995 * total
    return total


@pytest.mark.parametrize(
    ("shape", "max_resolution"),
    [
        ((400, 400), 20),
        ((300, 401), 20),
        ((333, 257), 9),
        ((109, 60), 9),
        ((302, 300), -1),
        ((94, 94), -1),
        ((95, 95), -1),
        ((301, 301), 6),
    ],
)
def test_shapes_and_resolutions(tmp_path, shape, max_resolution):
    assert check(tmp_path, [discs(shape)], PIXEL, max_resolution=max_resolution) > 0


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--LoG_adjust_threshold", 0.7], {"threshold_offset": 0.7}),
        (["--LoG_adjust_threshold", -0.4], {"threshold_offset": -0.4}),
        (["--LoG_upper_threshold", 1.5], {"upper_threshold": 1.5}),
        (["--Log_invert"], {"white_particles": True}),
        (["--skip_side", 50], {"skip_side": 50}),
        (["--LoG_neighbour", 60], {"neighbour_percent": 60}),
        (["--shrink", 0.5], {"shrink": 0.5}),
        (["--shrink", 131], {"shrink": 131}),
        ([], {"min_diameter": 61.3, "max_diameter": 77.7}),
        ([], {"min_diameter": 40, "max_diameter": 200}),
    ],
)
def test_options(tmp_path, flags, options):
    assert check(tmp_path, [discs((300, 320), seed=1)], PIXEL, *flags, **options) > 0


def test_a_diameter_beyond_the_micrograph(tmp_path):
    assert check(tmp_path, [discs((300, 300))], PIXEL, min_diameter=5000, max_diameter=8000) == 0


def test_several_micrographs(tmp_path):
    assert check(tmp_path, [discs((301, 400), seed=i) for i in range(3)], PIXEL) > 100


@pytest.mark.slow
def test_full_size(tmp_path):
    options = {"min_diameter": 150, "max_diameter": 180, "upper_threshold": 5}
    image = discs((3838, 3710), diameter=180, noise=10)
    assert check(tmp_path, [image], 0.854, "--LoG_upper_threshold", 5, **options) > 10


@pytest.mark.data
def test_real_micrographs(tmp_path, shared_data):
    images = [read_image(path).data for path in sorted((shared_data / "apoferritin10146").glob("*.png"))[:2]]
    options = {"min_diameter": 110, "max_diameter": 140, "max_resolution": 30}
    assert check(tmp_path, images, 1.5, **options) > 200
