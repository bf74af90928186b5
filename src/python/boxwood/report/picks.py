"""Pictures of picked particles."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.collections import EllipseCollection

from boxwood.imaging.fourier import forward, frequency_grid, inverse, window_spectrum
from boxwood.imaging.montage import grey_levels
from boxwood.report.figures import ACCENT, FOM_COLOURS, SECOND, new_figure, plain_axes, save_figure
from boxwood.typing import AnyArray

_LONGEST_SIDE = 1000  # pixels of the picture of a micrograph


def draw_picks(
    path: str | os.PathLike[str],
    micrograph: AnyArray,
    pixel_size_angstrom: float,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    fom: npt.ArrayLike | None = None,
    diameter_angstrom: npt.ArrayLike = 150.0,
    low_pass_angstrom: float = 20.0,
    truth: AnyArray | None = None,
    title: str = "",
) -> Path:
    """Draw circles around picks on a low-passed micrograph, in colours of the figure of merit; write a PNG.

    Parameters
    ----------
    path : path
    micrograph : (ny, nx)
    pixel_size_angstrom : float
    x, y : (n,)
        Centres in pixels of the micrograph.
    fom : (n,), optional
    diameter_angstrom : float or (n,)
    low_pass_angstrom : float
        Resolution at which the power is halved; 0 for none.
    truth : (m, 2), optional
        Known centres, x and y, to mark with crosses.
    title : str
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    small = shrink(micrograph, pixel_size_angstrom, low_pass_angstrom)
    ny, nx = micrograph.shape
    figure = new_figure(8.3, 7.5 * ny / nx + 0.3, layout="compressed")
    axes = figure.add_subplot()
    # the first pixel's centre is coordinate 0
    axes.imshow(grey_levels(small), cmap="gray", vmin=0, vmax=1, extent=(-0.5, nx - 0.5, ny - 0.5, -0.5))
    if truth is not None and len(truth):
        axes.plot(*np.asarray(truth).T, "+", color="#7fd4ff", markersize=5, markeredgewidth=0.8)
    if len(x):
        size = np.broadcast_to(np.asarray(diameter_angstrom, float) / pixel_size_angstrom, x.shape)
        circles = EllipseCollection(
            size,
            size,
            np.zeros_like(x),
            units="xy",
            offsets=np.stack([x, y], axis=1),
            offset_transform=axes.transData,
            facecolors="none",
            linewidths=1.2,
            **({"edgecolors": SECOND} if fom is None else {"array": np.asarray(fom, float)}),
            cmap=FOM_COLOURS,
        )
        axes.add_collection(circles)
        if fom is not None:
            bar = figure.colorbar(circles, ax=axes, shrink=0.6, pad=0.01)
            bar.set_label("figure of merit", fontsize=8)
            bar.ax.tick_params(labelsize=7)
    axes.set(xlim=(-0.5, nx - 0.5), ylim=(ny - 0.5, -0.5))
    axes.tick_params(labelsize=7)
    axes.set_title(title or f"{len(x)} picks", fontsize=9)
    return save_figure(figure, path)


def draw_fom_histogram(
    path: str | os.PathLike[str], fom: npt.ArrayLike, *, threshold: float | None = None, title: str = ""
) -> Path:
    """Draw how many picks have which figure of merit, and the threshold if there is one; write a PNG."""
    values = np.asarray(fom, float)
    values = values[np.isfinite(values)]
    figure = new_figure(5.5, 3)
    axes = plain_axes(figure.add_subplot())
    if len(values):
        axes.hist(values, bins=min(60, max(5, int(np.sqrt(len(values)) * 1.5))), color=ACCENT)
    else:
        axes.text(0.5, 0.5, "no picks", ha="center", va="center", transform=axes.transAxes)
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(threshold, color=SECOND, label=f"threshold {threshold:.3g}")
        axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel("figure of merit", fontsize=8)
    axes.set_ylabel("picks", fontsize=8)
    axes.set_title(title or f"{len(values)} picks", fontsize=9)
    return save_figure(figure, path)


def shrink(image: AnyArray, pixel_size_angstrom: float, low_pass_angstrom: float) -> AnyArray:
    """Low-passed image, at most 1000 pixels along its longer side.

    The low-pass is a Gaussian that halves the power at the resolution asked for; 0 is none.
    """
    finite = np.isfinite(image)
    image = np.where(finite, image, image[finite].mean() if finite.any() else 0).astype(np.float32)
    factor = min(1.0, _LONGEST_SIDE / max(image.shape))
    shape = (max(1, round(factor * image.shape[0])), max(1, round(factor * image.shape[1])))
    spectrum = window_spectrum(forward(image), image.shape, shape)
    if low_pass_angstrom > 0:
        # frequencies stay those of the full image: cropping keeps the area
        full = frequency_grid(shape, pixel_size_angstrom) * np.array(
            [shape[1] / image.shape[1], shape[0] / image.shape[0]], np.float32
        )
        spectrum *= np.exp(np.float32(-0.5 * np.log(2) * low_pass_angstrom**2) * (full**2).sum(axis=-1))
    return inverse(spectrum, shape)
