"""The picks of a real project of RELION 3.0, on its micrograph.

It is not square, and what is put around it is noise, RELION's and ours, which the nearest pixels feel.
"""

import numpy as np
import pytest

from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_image
from boxwood.picking import pick_log
from boxwood.picking.geometry import Grid

MIN, MAX = 40, 60  # Angstrom, as in that project


@pytest.mark.data
def test_the_picks_of_relion_30(shared_data):
    """The same pixels, if as much is cleared around a pick as RELION 3.0 does.

    It clears a disc of radius size - MIN / 2, RELION 3.1 and boxwood one of (size + MIN) / 2.
    """
    folder = shared_data / "micrographs/contaminated"
    labels = ["rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"]
    theirs = read_coordinates(folder / "Ucsf_stack_1142_DW_autopick.star")[labels].to_numpy()
    image = read_image(folder / "Ucsf_stack_1142_DW.mrc").data
    options = {"min_diameter": MIN, "max_diameter": MAX, "max_resolution": 20.0}
    maps = pick_log(image, 1.0, **options, return_fom_maps=True).fom_maps
    grid = Grid(image.shape, len(maps.best))
    top, bottom, left, right = grid.interior(MIN // 2)
    best, size = (values[top:bottom, left:right] for values in (maps.best, maps.size))
    best = np.where((size >= MIN) & (size <= MAX), best, 0)
    y, x = np.indices(best.shape)
    ours = []
    while best.max() > theirs[-1, 2] - 1e-6:
        cy, cx = np.unravel_index(best.argmax(), best.shape)
        edge = min(cy, cx, best.shape[0] - 1 - cy, best.shape[1] - 1 - cx)
        place = grid.to_micrograph(cx + left, 1), grid.to_micrograph(cy + top, 0)
        ours.append([*place, best.max(), edge])
        radius = round(maps.scale * (size[cy, cx] - MIN / 2))
        best[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = 0
    ours = np.array(ours)
    assert len(ours) == len(theirs) == 45
    distance = np.hypot(ours[:, None, 0] - theirs[:, 0], ours[:, None, 1] - theirs[:, 1])
    nearest = distance.argmin(axis=1)
    assert distance.min(axis=1).max() < 1e-3 and len(set(nearest)) == 45
    # The noise counts within a few pixels of the edge, and beyond by some 1e-5.
    difference = np.abs(ours[:, 2] - theirs[nearest, 2])
    far = ours[:, 3] >= 6
    assert far.sum() > 25 and difference[far].max() < 2e-5
    assert difference.max() < 0.01
