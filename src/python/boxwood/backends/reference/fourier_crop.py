"""An image on a coarser grid."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray


def fourier_crop(image: AnyArray, shape: tuple[int, int], offset: float, threads: int = 1) -> DoubleArray:
    """See `boxwood.backends.protocol.Backend.fourier_crop`; here in float64."""
    spectrum = np.fft.rfft2(np.asarray(image, np.float64) - offset, norm="forward")
    return np.fft.irfft2(low_frequencies(spectrum, image.shape, shape), s=shape, norm="forward")


def low_frequencies(spectrum: AnyArray, shape: tuple[int, ...], new_shape: tuple[int, ...]) -> AnyArray:
    """Crop or zero-pad a half-plane transform to another size; the Nyquist row is the positive one."""
    (ny, nx), (my, mx) = shape, new_shape
    ky = np.arange(-min(my // 2 - 1, (ny - 1) // 2), min(my // 2, ny // 2) + 1)[:, None]
    kx = np.arange(min(mx // 2, nx // 2) + 1)
    window = np.zeros((my, mx // 2 + 1), complex)
    window[ky, kx] = spectrum[ky, kx]
    return window
