"""The same picks as the real relion_autopick 3.1 with 2D references, and the same maps."""

import shutil
import subprocess

import numpy as np
import pytest

from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_image, read_stack, write_stack
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.rotations import rotation_matrices

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(
        shutil.which("relion_autopick") is None, reason="no relion_autopick: apt-get install relion"
    ),
]
LABELS = ["rlnCoordinateX", "rlnCoordinateY", "rlnClassNumber", "rlnAutopickFigureOfMerit", "rlnAnglePsi"]
NAMES = ["micrograph_001", "micrograph_002"]
VIEWS = [[20, 80, 0], [75, 40, 10], [40, 15, 0]]  # none of them symmetric: no two angles are equally good


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Micrographs that are not square, and projections in two pixel sizes, with and without a mask."""
    folder = tmp_path_factory.mktemp("templates")
    Project(folder, threads=2).simulate(
        directory=".", micrographs=2, width=420, height=360, pixel_size=3.54, particles=12, snr=0.3
    )
    for name, box, pixel in (("coarse", 32, 7.08), ("same", 64, 3.54), ("fine", 110, 2.0)):
        images = beta_galactosidase().project(rotation_matrices(np.array(VIEWS, float)), box, pixel)
        write_stack(folder / f"{name}.mrcs", 0.5 / images.std() * images, pixel)
    return folder


def relion(project, flags, out):
    (project / out / "Micrographs").mkdir(parents=True)
    command = ["relion_autopick", "--i", "micrographs_ctf.star", "--odir", f"{out}/"]
    command += ["--pickname", "autopick", "--write_fom_maps", *map(str, flags)]
    # Where there is no pick on any micrograph it fails at its plots, after writing the coordinate files.
    subprocess.run(command, cwd=project, check=False, capture_output=True)


def spider(path):
    raw = np.fromfile(path, np.float32)
    return raw[int(raw[21]) // 4 :].reshape(int(raw[1]), int(raw[11]))


def picks(path):
    table = read_coordinates(path)
    return table[LABELS].to_numpy(np.float64) if len(table) else np.zeros((0, 5))


def check(project, out, job):
    """At least 99 % of the picks are the same, and so are the maps to float32."""
    same = total = ours_total = 0
    for name in NAMES:
        stem = f"Micrographs/{name}_autopick"
        theirs, ours = (picks(project / folder / f"{stem}.star") for folder in (out, job))
        distance = np.hypot(*(ours[:, None, :2] - theirs[None, :, :2]).T).T
        i, j = np.nonzero(distance < 0.01)
        match = (ours[i, 2] == theirs[j, 2]) & (np.abs(ours[i, 4] - theirs[j, 4]) < 0.01)
        match &= np.isclose(ours[i, 3], theirs[j, 3], rtol=2e-3, atol=1e-5)
        same, total, ours_total = same + match.sum(), total + len(theirs), ours_total + len(ours)
        best = read_stack(project / job / f"{stem}_bestCCF.mrcs")[:]
        for number, map_ in enumerate(best):
            other = spider(project / out / f"{stem}_ref{number:06d}._bestCCF.spi")
            # RELION sums what it expects of a template in float32.
            np.testing.assert_allclose(map_, other, rtol=2e-3, atol=2e-3 * np.abs(other).max())
            angles = read_stack(project / job / f"{stem}_bestPSI.mrcs")[number]
            assert np.mean(angles == spider(project / out / f"{stem}_ref{number:06d}._bestPSI.spi")) > 0.995
        for kind in ("avgNoise", "stddevNoise"):
            mine, other = read_image(project / job / f"{stem}_{kind}.mrc").data, f"{stem}_{kind}.spi"
            np.testing.assert_allclose(mine, spider(project / out / other), atol=2e-6)
    assert same >= 0.99 * total
    assert ours_total == pytest.approx(total, rel=0.01)
    return total


# The references' pixel size; what RELION is told; what we are told instead of the same.
CASES = {
    "as the form": ("same", "3.54", ["--lowpass", 20, "--shrink", 0, "--ctf", "--ang", 30], {}),
    "rescaled": ("coarse", "7.08", ["--lowpass", 20, "--shrink", 0, "--ctf", "--ang", 30], {}),
    "finer": ("fine", "2.0", ["--lowpass", 25, "--shrink", 0, "--ctf", "--ang", 45], {"lowpass": 25}),
    "full size": (
        "coarse",
        "7.08",
        ["--lowpass", -1, "--shrink", 1, "--ctf", "--ang", 60],
        {"lowpass": -1, "shrink": 1},
    ),
    "small": (
        "same",
        "3.54",
        ["--lowpass", 20, "--shrink", 0.25, "--ctf", "--ang", 30, "--skip_side", 20],
        {"shrink": 0.25, "skip_side": 20},
    ),
    "highpass": (
        "same",
        "3.54",
        ["--lowpass", 20, "--highpass", 200, "--shrink", 0, "--ang", 30, "--threshold", -1],
        {"highpass": 200, "references_ctf_corrected": False, "picking_threshold": -1},
    ),
    "first peak": (
        "same",
        "3.54",
        ["--lowpass", 30, "--ctf", "--ang", 45, "--threshold", -1, "--ctf_intact_first_peak"],
        {"lowpass": 30, "ctf_intact_first_peak": True, "picking_threshold": -1},
    ),
    "noise": (
        "same",
        "3.54",
        ["--lowpass", 20, "--shrink", 0, "--ctf", "--ang", 30, "--max_stddev_noise", 1.02],
        {"max_stddev_noise": 1.02},
    ),
    "average": (
        "same",
        "3.54",
        ["--lowpass", 20, "--shrink", 0, "--ctf", "--ang", 30, "--min_avg_noise", -0.02],
        {"min_avg_noise": -0.02, "min_distance": 160},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_picks(project, case):
    name, pixel, flags, options = CASES[case]
    out, job = f"theirs/{case}", f"ours/{case}"
    distance = options.get("min_distance", 100)
    common = ["--ref", f"{name}.mrcs", "--angpix_ref", pixel, "--invert", "--min_distance", distance]
    common += ["--particle_diameter", 190, *([] if "--shrink" in flags else ["--shrink", 0])]
    common += [] if "--threshold" in flags else ["--threshold", 0.05]
    relion(project, [*common, *flags], out)
    Project(project, threads=2).autopick(
        micrographs="micrographs_ctf.star",
        references=f"{name}.mrcs",
        mask_diameter=190,
        score="relion",
        write_fom_maps=True,
        output=project / job,
        **{"max_stddev_noise": -1, "angular_sampling": flags[flags.index("--ang") + 1], **options},
    )
    assert check(project, out, job) > 10
    summary = read_star(project / job / "summary.star")[""]
    assert len(summary) == len(NAMES)
