"""Pick, extract and classify with whatever boxwood is installed, and keep the outcome.

python release/three_kernels.py OUTCOME.npz
python release/three_kernels.py --compare OUTCOME.npz OTHER.npz
"""

import sys

import numpy as np


def outcome() -> dict[str, np.ndarray]:
    """Picks on a simulated micrograph, their boxes, and the averages of two classes."""
    import boxwood

    simulated = boxwood.simulate_micrograph((768, 768), 1.77, particles=20, snr=0.2, seed=1)
    picks = boxwood.pick_log(simulated.image, pixel_size_angstrom=1.77, min_diameter=150, max_diameter=180)
    boxes = boxwood.extract_particles(
        simulated.image, picks.x, picks.y, pixel_size_angstrom=1.77, box_size=128, rescale=32
    )
    rows = np.tile(simulated.ctf_row, (len(boxes.images), 1))
    *_, last = boxwood.classify2d(
        boxes.images, rows, pixel_size_angstrom=boxes.pixel_size_angstrom, classes=2, iterations=3, seed=1
    )
    print(len(picks.x), "picks,", boxes.images.shape, "boxes,", boxwood.backends.cpu_status()["chosen"])
    return {"x": picks.x, "y": picks.y, "boxes": boxes.images, "averages": last.model.references}


def compare(first: str, second: str) -> None:
    """End with an error if the outcomes differ by more than rounding explains."""
    one, other = np.load(first), np.load(second)
    for name in one.files:
        scale = np.abs(one[name]).max()
        if one[name].shape != other[name].shape:
            raise SystemExit(f"{name}: {one[name].shape} and {other[name].shape}")
        difference = float(np.abs(one[name] - other[name]).max() / scale)
        print(f"{name}: differs by {difference:.1e} of the largest value")
        if difference > 1e-4:
            raise SystemExit(f"{name} is another on this processor")


if __name__ == "__main__":
    if sys.argv[1] == "--compare":
        compare(*sys.argv[2:])
    else:
        np.savez(sys.argv[1], **outcome())
