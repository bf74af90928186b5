"""Particle images as RELION compares them: scaled, moved by whole pixels, masked, transformed."""

from dataclasses import dataclass

import numpy as np

from boxwood.class2d.cartesian.plane import HalfPlane
from boxwood.imaging.fourier import forward
from boxwood.imaging.masks import soft_circle
from boxwood.typing import AnyArray

# Width in pixels of the soft edge of masks (--maskedge).
MASK_EDGE_PX = 5.0


@dataclass(frozen=True)
class Transforms:
    """Some images on a half plane.

    Attributes
    ----------
    plain, masked : (n, m) complex64
    power : (n, box / 2 + 1) float64
        Sums over shells of |F|^2 of the masked images, all frequencies.
    """

    plain: AnyArray
    masked: AnyArray
    power: AnyArray


class Preparation:
    """Makes images ready.

    Parameters
    ----------
    plane : HalfPlane
        The coefficients that are compared.
    mask_radius_px : float
        Outside of the mask images become the mean of what is there.
    """

    def __init__(self, plane: HalfPlane, mask_radius_px: float) -> None:
        self.plane, self._whole = plane, HalfPlane(plane.box, plane.box)
        self.mask = soft_circle((plane.box, plane.box), mask_radius_px, MASK_EDGE_PX)

    def __call__(self, images: AnyArray, factors: AnyArray, shifts: AnyArray) -> Transforms:
        """Images (n, box, box) times factors (n,), moved by (x, y) whole pixels (n, 2) int."""
        moved = np.stack([_moved(image, x, y) for image, (x, y) in zip(images, shifts.tolist(), strict=True)])
        moved *= np.asarray(factors)[:, None, None]
        outside = 1.0 - self.mask
        background = np.einsum("nyx,yx->n", moved, outside) / max(float(outside.sum()), 1e-6)
        masked = moved * self.mask + background[:, None, None] * outside
        plain, inner = (forward(np.fft.ifftshift(stack, axes=(1, 2))) for stack in (moved, masked))
        power = self._whole.shell_sums(np.abs(self._whole.of(inner)) ** 2)
        return Transforms(
            self.plane.of(plain).astype(np.complex64), self.plane.of(inner).astype(np.complex64), power
        )


def _moved(image: AnyArray, x: int, y: int) -> AnyArray:
    """float64, moved by whole pixels; what comes in from outside is zero."""
    out, box = np.zeros(image.shape), len(image)
    to_y, to_x = slice(max(y, 0), box + min(y, 0)), slice(max(x, 0), box + min(x, 0))
    from_y, from_x = slice(max(-y, 0), box + min(-y, 0)), slice(max(-x, 0), box + min(-x, 0))
    out[to_y, to_x] = image[from_y, from_x]
    return out
