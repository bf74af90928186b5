"""Adaptive picking of real apoferritin against the experts' marks."""

import numpy as np
import pytest

from boxwood.io.mrc import read_image
from boxwood.io.star import read_star
from boxwood.picking.adaptive import learn_model, pick_adaptive
from boxwood.picking.agreement import Agreement, agreement

PIXEL, HIT_PX = 1.5, 17.0


@pytest.mark.data
@pytest.mark.slow
def test_apoferritin_is_found_with_a_range_that_is_too_small(shared_data):
    folder = shared_data / "apoferritin10146"
    table = read_star(folder / "truth.star")[""]
    files = sorted(folder.glob("*.png"))
    images = {f.name: np.ascontiguousarray(read_image(f).data, np.float32) for f in files[:4]}
    model = learn_model(
        [images[f.name] for f in files[:2]], [PIXEL] * 2, min_diameter=85, max_diameter=95, threads=2
    )
    assert model is not None
    assert model.convincing
    total = Agreement()
    for file in files[2:4]:  # that were not learned from
        picks = pick_adaptive(images[file.name], PIXEL, model)
        marks = table[table["rlnMicrographName"] == file.name]
        truth = marks[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
        total += agreement(np.column_stack([picks.x, picks.y]), truth, HIT_PX)
    assert total.precision > 0.9
    assert total.recall > 0.9
