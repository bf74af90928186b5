"""What is wrong with particles: those that get no weight, and images that were not normalised."""

from collections.abc import Callable
from enum import IntEnum

import numpy as np

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.typing import AnyArray

# Images of which the usual grey scale is found.
_SAMPLE = 500
# An image this many times stronger than usual is not of a particle in ice; mostly it has a hot pixel.
_TOO_STRONG = 10.0
# An image this many times weaker shows nothing that the others do: it is of another unit, or nearly constant.
_TOO_WEAK = 1000.0
# Usual deviations beyond these lead out of the range of float32 once they are squared and added.
_GREY_SCALE = (1e-6, 1e6)
# Backgrounds further from mean 0 and deviation 1 than this are not normalised; RELION's limits.
_MEAN, _DEVIATION = 0.5, (0.5, 2.0)
# Particles this many standard errors darker than their surroundings have the wrong contrast.
_DARK = 5.0


class Fault(IntEnum):
    """Why a particle gets no weight; 0 if it does."""

    NONE = 0
    NOT_FINITE = 1
    CONSTANT = 2
    TOO_STRONG = 3
    CTF = 4
    TOO_WEAK = 5
    LOST = 6

    @property
    def sentence(self) -> str:
        return {
            Fault.NONE: "",
            Fault.NOT_FINITE: "it has pixels that are no finite numbers",
            Fault.CONSTANT: "its pixels are constant",
            Fault.TOO_STRONG: f"its contrast is more than {_TOO_STRONG:g} times that of the other particles; "
            "if it was not normalised and they were, use --normalise",
            Fault.CTF: "its CTF parameters are no numbers or make no sense, such as a voltage of 0",
            Fault.TOO_WEAK: f"its contrast is less than 1/{_TOO_WEAK:g} of that of the other particles; "
            "if it has another unit, use --normalise",
            Fault.LOST: "its batch failed wherever it was tried",
        }[self]


def ctf_faults(rows: AnyArray) -> AnyArray:
    """(n,) int8 `Fault` of CTF rows (n, 9) that no CTF can be computed from."""
    with np.errstate(invalid="ignore"):
        fine = np.isfinite(rows).all(axis=1) & (rows[:, 4] > 0) & (np.abs(rows[:, 6]) < 1)
        fine &= rows[:, 7] > -1e3  # an amplification that overflows
    return np.where(fine, Fault.NONE, Fault.CTF).astype(np.int8)


def image_faults(images: AnyArray, usual: float = np.inf) -> AnyArray:
    """(n,) int8 `Fault` of images; `usual` is the standard deviation of an ordinary one."""
    flat = images.reshape(len(images), -1)
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = flat.min(axis=1), flat.max(axis=1)
        finite = np.isfinite(low) & np.isfinite(high)
        # No deviation is more than half the range, which nearly all images pass by.
        suspect = np.flatnonzero(finite & (0.5 * (high - low) > _TOO_STRONG * usual))
        deviation = flat[suspect].std(axis=1, dtype=np.float64)
    faults = np.full(len(images), Fault.NONE, dtype=np.int8)
    faults[suspect[deviation > _TOO_STRONG * usual]] = Fault.TOO_STRONG
    if np.isfinite(usual):
        faults[finite & (high - low < usual / _TOO_WEAK)] = Fault.TOO_WEAK
    faults[low == high] = Fault.CONSTANT
    faults[~finite] = Fault.NOT_FINITE
    return faults


def sample(read: Callable[[AnyArray], AnyArray], indices: AnyArray) -> AnyArray:
    """Usable images of some of the particles, evenly spread; `read` reads images by their indices."""
    if len(indices) == 0:
        return np.zeros((0, 1, 1), dtype=np.float32)
    images = read(indices[:: max(1, len(indices) // _SAMPLE)])
    images = images[image_faults(images) == Fault.NONE]
    if len(images) == 0:
        return images
    return images[image_faults(images, usual_deviation(images)) == Fault.NONE]


def usual_deviation(images: AnyArray) -> float:
    """Median standard deviation of a sample, which a few odd images do not move."""
    return float(np.median(images.std(axis=(1, 2), dtype=np.float64))) if len(images) else np.inf


def complaints(images: AnyArray, mask: AnyArray) -> list[str]:
    """Sentences on a sample that was not normalised, or has dark particles; `mask` is 1 on the particle."""
    if len(images) == 0:
        return []
    outside = images[:, mask < 0.5].astype(np.float64)
    if outside.shape[1] < 16:  # the mask fills the box
        return []
    mean, deviation = np.median(outside.mean(axis=1)), np.median(outside.std(axis=1))
    found = []
    if abs(mean) > _MEAN or not _DEVIATION[0] <= deviation <= _DEVIATION[1]:
        found.append(
            f"the background of particles has mean {mean:.3g} and standard deviation {deviation:.3g}, and "
            "about 0 and 1 are expected; use --normalise, or extract the particles with normalisation"
        )
    contrast = images[:, mask >= 0.5].mean(axis=1, dtype=np.float64) - outside.mean(axis=1)
    error = contrast.std() / np.sqrt(len(contrast))
    if contrast.mean() < -_DARK * error:
        found.append(
            "the particles look darker than their surroundings, and white ones are expected; if the averages "
            "look inverted, extract the particles with inverted contrast"
        )
    return found


def check_grey_scale(usual: float) -> None:
    """Refuse images whose usual deviation is too far from 1 to reckon with."""
    low, high = _GREY_SCALE
    if np.isfinite(usual) and not low <= usual <= high:
        raise InputError(
            f"the images have a standard deviation of {usual:.3g}, and about 1 is expected; use --normalise, "
            "or extract the particles with normalisation"
        )


def check_enough(usable: int, classes: int) -> None:
    """Refuse fewer usable particles than classes."""
    if usable < classes:
        raise InputError(
            f"{usable} usable particles are too few for {classes} classes; "
            "ask for fewer classes or give more particles"
        )


def normalised(images: AnyArray, radius_px: float, backend: Backend, threads: int) -> AnyArray:
    """Images (n, box, box) with a background of mean 0 and deviation 1 and no ramp, as extraction does it.

    What is farther than `radius_px` from the origin is background. Images that cannot be normalised are as
    they were.
    """
    n, box = images.shape[:2]
    if n == 0:
        return images
    if box % 2:
        raise InputError(f"images of {box} px cannot be normalised; give boxes of an even size")
    # The stack is one tall micrograph, out of which each particle is cut where it lies.
    centres = np.stack([np.full(n, box // 2), np.arange(n) * box + box // 2], axis=1).astype(np.int32)
    done, faults = backend.extract(
        images.reshape(n * box, box), centres, None, None, 0.0, box, box, box,
        radius_px, True, 0.0, 0.0, False, 0, threads,
    )  # fmt: skip
    return np.where((faults == 0)[:, None, None], done, images)
