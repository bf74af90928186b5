"""Many small images as one picture."""

import math

import numpy as np
from PIL import Image

from boxwood.errors import InputError
from boxwood.typing import AnyArray, FloatArray


def grey_levels(image: AnyArray, sigma: float = 3.0) -> FloatArray:
    """Map the mean -+ sigma standard deviations of an image to 0...1, clipped; a constant becomes 0.5.

    Pixels that are not finite become 0.5 and do not count.
    """
    finite = np.isfinite(image)
    values = image[finite].astype(np.float64)
    spread = sigma * values.std() if values.size else 0.0
    if spread == 0.0:
        return np.full(image.shape, 0.5, np.float32)
    levels = 0.5 + 0.5 * (np.where(finite, image, values.mean()) - values.mean()) / spread
    return np.clip(levels, 0.0, 1.0).astype(np.float32)


def thumbnail(image: AnyArray, side_px: int, sigma: float = 3.0) -> AnyArray:
    """Scale a square image to (side, side) uint8, with grey levels of its own; see `grey_levels`."""
    grey = Image.fromarray(np.rint(255 * grey_levels(image, sigma)).astype(np.uint8))
    way = Image.Resampling.BOX if side_px < grey.width else Image.Resampling.BICUBIC
    return np.asarray(grey.resize((side_px, side_px), way))


def montage(images: AnyArray, columns: int | None = None, gap_px: int = 2, fill: float = 1.0) -> AnyArray:
    """Lay images (n, ny, nx) out row by row with gaps between them.

    Parameters
    ----------
    columns : int, optional
        By default as many as make the picture about square.
    gap_px : int
        Pixels between neighbours.
    fill : float
        Value of the gaps and of cells without an image.

    Returns
    -------
    (rows (ny + gap) - gap, columns (nx + gap) - gap)
    """
    if images.ndim != 3 or not len(images):
        raise InputError(f"a montage needs images of shape (n, ny, nx), n > 0; got shape {images.shape}")
    n, ny, nx = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (ny + gap_px) - gap_px, columns * (nx + gap_px) - gap_px), fill, images.dtype)
    for i, image in enumerate(images):
        top, left = (i // columns) * (ny + gap_px), (i % columns) * (nx + gap_px)
        sheet[top : top + ny, left : left + nx] = image
    return sheet
