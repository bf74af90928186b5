"""Images to polar Fourier samples and back by direct sums (no gridding)."""

import numpy as np

from boxwood.typing import AnyArray


def _phases(positions: AnyArray, box: int) -> tuple[AnyArray, AnyArray]:
    axis = np.arange(box) - box // 2
    f = np.asarray(positions, dtype=np.float64) / box
    return np.exp(-2j * np.pi * np.outer(f[:, 0], axis)), np.exp(-2j * np.pi * np.outer(f[:, 1], axis))


def _shift_and_mask(image: AnyArray, shift: AnyArray, mask: AnyArray) -> AnyArray:
    box = len(image)
    dx, dy = int(shift[0]), int(shift[1])
    out = np.zeros((box, box))
    if abs(dx) < box and abs(dy) < box:
        to_y, to_x = slice(max(dy, 0), box + min(dy, 0)), slice(max(dx, 0), box + min(dx, 0))
        from_y, from_x = slice(max(-dy, 0), box + min(-dy, 0)), slice(max(-dx, 0), box + min(-dx, 0))
        out[to_y, to_x] = image[from_y, from_x]
    gone = 1.0 - mask
    background = (gone * out).sum() / gone.sum() if gone.sum() > 0 else 0.0
    return (out - background) * mask


def polar_transform(
    images: AnyArray, shifts: AnyArray | None, mask: AnyArray, positions: AnyArray, threads: int = 1
) -> tuple[AnyArray, AnyArray]:
    """See `boxwood.backends.protocol.Backend.polar_transform`; here in float64."""
    mask = np.asarray(mask, dtype=np.float64)
    if shifts is None:
        shifts = np.zeros((len(images), 2), dtype=int)
    ex, ey = _phases(positions, mask.shape[0])
    masked = np.array(
        [_shift_and_mask(np.asarray(im, np.float64), s, mask) for im, s in zip(images, shifts, strict=True)]
    )
    out = np.einsum("jy,nyx,jx->nj", ey, masked, ex, optimize=True)
    return out, (masked**2).sum(axis=(1, 2))


def polar_adjoint(samples: AnyArray, positions: AnyArray, box: int, threads: int = 1) -> AnyArray:
    """See `boxwood.backends.protocol.Backend.polar_adjoint`; here in float64."""
    ex, ey = _phases(positions, box)
    return np.einsum("jy,nj,jx->nyx", ey.conj(), np.asarray(samples), ex.conj(), optimize=True).real
