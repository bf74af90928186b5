"""Several optics groups and several grey scales in one classification, with known truth."""

import numpy as np
import pytest

from boxwood.class2d import Class2DParameters, OpticsGroup, classify2d
from boxwood.class2d.source import ArraySource
from boxwood.errors import InputError
from boxwood.simulate import simulate_particles

COUNT, MODEL = 150, OpticsGroup(32, 7.0)
PARAMETERS = Class2DParameters(
    classes=6, iterations=12, mask_diameter_angstrom=190, psi_step_deg=12, offset_range_px=3
)


def simulate(group, snr=0.3, n=COUNT):
    """The same three views at the pixels of a group, with noise of 1 in every pixel."""
    return simulate_particles(
        n,
        group.box_px,
        group.pixel_size_angstrom,
        classes=3,
        # The signal of a pixel that is normalised to its noise grows with its edge.
        snr=snr * (group.pixel_size_angstrom / MODEL.pixel_size_angstrom) ** 2,
        max_offset_px=14.0 / group.pixel_size_angstrom,
        coloured_noise=0,
        seed=2,
    )


@pytest.mark.parametrize("second", [OpticsGroup(48, 5.0), OpticsGroup(24, 9.5)])
def test_groups_of_different_pixels_and_boxes_make_the_same_classes(second):
    groups = (MODEL, second)
    sets = [simulate(group) for group in groups]
    of = np.repeat([0, 1], COUNT)
    *_, last = classify2d(
        ArraySource([image for part in sets for image in part.images]),
        np.concatenate([part.ctf_rows for part in sets]),
        optics=groups,
        optics_groups=of,
        micrographs=of,
        parameters=PARAMETERS,
        threads=1,
    )
    kind = np.concatenate([part.class_index for part in sets])
    psi = np.concatenate([part.angles_deg[:, 2] for part in sets])
    offset = np.concatenate(
        [part.offsets_px * g.pixel_size_angstrom for part, g in zip(sets, groups, strict=True)]
    )
    found = last.assignments
    errors = [[], []]
    for k in range(PARAMETERS.classes):
        members = np.flatnonzero(found.class_index == k)
        members = members[kind[members] == np.bincount(kind[members]).argmax()]
        # An average may choose one angle and one offset, the same for both groups.
        turn = np.exp(1j * np.deg2rad(found.psi_deg[members] - psi[members]))
        turn /= turn.mean() / abs(turn.mean())
        angle = np.deg2rad(psi[members])
        x, y = (found.offset_px[members] * MODEL.pixel_size_angstrom - offset[members]).T
        rest = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], 1)
        far = np.hypot(*(rest - np.median(rest, axis=0)).T)
        for group in (0, 1):
            mine = of[members] == group
            errors[group].extend(zip(np.rad2deg(np.abs(np.angle(turn[mine]))), far[mine], strict=True))
    for group in (0, 1):
        assert len(errors[group]) > 0.9 * COUNT  # the others are in a class of another kind
        psi_error, offset_error = np.median(errors[group], axis=0)
        assert psi_error < 6 and offset_error < 5.0
    # Neither group is brighter than the other, and none has more noise left per pixel.
    np.testing.assert_allclose(last.model.scale, 1, atol=0.05)
    assert last.model.norm[of == 1].mean() == pytest.approx(last.model.norm[of == 0].mean(), rel=0.05)


@pytest.mark.parametrize(("norm_correction", "tolerance"), [(False, 0.04), (True, 0.1)])
def test_known_grey_scales_are_found(norm_correction, tolerance):
    """Each micrograph's signal of 120 x 450 pixels x 0.3 is known to 1/127; 0.04 are five of these.

    With norm correction, signal that is not explained counts as noise, and more of it where there is more.
    """
    scales = np.array([0.6, 0.9, 1.1, 1.4])
    n, images, rows = 120, [], []
    for i, scale in enumerate(scales):
        part = simulate(MODEL, 0.3 * scale**2, 4 * n)
        images.append(part.images[i * n : (i + 1) * n])
        rows.append(part.ctf_rows[i * n : (i + 1) * n])
    *_, last = classify2d(
        np.concatenate(images),
        np.concatenate(rows),
        pixel_size_angstrom=MODEL.pixel_size_angstrom,
        micrographs=np.repeat(np.arange(4), n),
        parameters=PARAMETERS,
        classes=3,
        norm_correction=norm_correction,
        threads=1,
    )
    np.testing.assert_allclose(last.model.scale, scales, rtol=tolerance)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "needs the pixel size of the images, or their optics groups"),
        ({"pixel_size_angstrom": 7.0, "optics": [MODEL]}, "or their optics groups; give one"),
        ({"optics": [MODEL], "optics_groups": np.arange(8) % 2}, "there are 1 optics groups, and a particle"),
        (
            {"optics": [MODEL, MODEL], "optics_groups": np.arange(8) % 2, "noise_groups": np.zeros(8, int)},
            "several optics groups share a noise spectrum",
        ),
    ],
)
def test_groups_that_do_not_fit_are_refused(arguments, sentence):
    images = np.random.default_rng(0).standard_normal((8, 32, 32)).astype(np.float32)
    with pytest.raises(InputError, match=sentence):
        next(classify2d(images, parameters=PARAMETERS, classes=2, **arguments))
