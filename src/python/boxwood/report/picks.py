"""Pictures of picks: circles on a micrograph, and what the figures of merit and the counts look like."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.ticker import MaxNLocator

from boxwood.imaging.fourier import forward, frequency_grid, inverse
from boxwood.imaging.montage import grey_levels
from boxwood.report.figures import ACCENT, FOM_COLOURS, SECOND, new_figure, plain_axes, save_figure
from boxwood.typing import AnyArray, FloatArray

_LONGEST_SIDE = 1000  # pixels of the picture of a micrograph


def preview(
    micrograph: AnyArray, pixel_size_angstrom: float, low_pass_angstrom: float = 20.0
) -> tuple[FloatArray, int]:
    """Make a micrograph small and smooth enough to be looked at, by averaging blocks of pixels.

    Parameters
    ----------
    micrograph : (ny, nx)
        Pixels that are not finite are taken for the mean.
    pixel_size_angstrom : float
    low_pass_angstrom : float
        Resolution at which a Gaussian halves the power; 0 for none.

    Returns
    -------
    image : (ny // factor, nx // factor) float32
    factor : int
    """
    finite = np.isfinite(micrograph)
    if not finite.all():
        mean = micrograph[finite].mean() if finite.any() else 0.0
        micrograph = np.where(finite, micrograph, mean)
    factor = min(max(1, -(-max(micrograph.shape) // _LONGEST_SIDE)), *micrograph.shape)
    ny, nx = (n // factor for n in micrograph.shape)
    blocks = micrograph[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    image = blocks.mean(axis=(1, 3), dtype=np.float64)
    square = (frequency_grid((ny, nx), factor * pixel_size_angstrom).astype(np.float64) ** 2).sum(axis=-1)
    smooth = forward(image) * np.exp(-0.5 * np.log(2) * low_pass_angstrom**2 * square)
    return inverse(smooth, (ny, nx)).astype(np.float32), factor


def draw_picks(
    path: str | os.PathLike[str],
    image: AnyArray,
    factor: int,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    diameter_px: npt.ArrayLike,
    title: str,
    *,
    fom: npt.ArrayLike | None = None,
    fom_label: str = "figure of merit",
    truth: AnyArray | None = None,
) -> Path:
    """Draw circles around the picks of one micrograph, in colours of the figure of merit; write a PNG.

    Parameters
    ----------
    path : path
    image : (ny, nx), factor : int
        From `preview`.
    x, y : (n,)
        Centres in pixels of the whole micrograph.
    diameter_px : float or (n,)
        Pixels of the whole micrograph.
    title : str
    fom : (n,), optional
    fom_label : str
    truth : (m, 2), optional
        Known centres, x and y, to mark with crosses.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    ny, nx = factor * np.array(image.shape)
    width, left, right, below, above = 7.3, 0.4, 0.9 if fom is not None and len(x) else 0.1, 0.25, 0.3
    height = width * ny / nx
    # A fixed layout: the constrained one takes longer than all the rest.
    figure = new_figure(left + width + right, below + height + above, layout=None)

    def add_axes(x: float, y: float, width: float, height: float) -> Axes:
        return figure.add_axes(np.array([x, y, width, height]) / np.tile(figure.get_size_inches(), 2))

    axes = add_axes(left, below, width, height)
    # the centre of the first pixel of the whole micrograph has coordinate 0
    extent = (-0.5, nx - 0.5, ny - 0.5, -0.5)
    axes.imshow(grey_levels(image), cmap="gray", vmin=0, vmax=1, extent=extent)
    if truth is not None and len(truth):
        axes.plot(*np.asarray(truth).T, "+", color="#7fd4ff", markersize=5, markeredgewidth=0.8)
    if len(x):
        size = np.broadcast_to(np.asarray(diameter_px, float), x.shape)
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
            beside = add_axes(left + width + 0.1, below + 0.2 * height, 0.15, 0.6 * height)
            figure.colorbar(circles, cax=beside).set_label(fom_label, fontsize=8)
            beside.tick_params(labelsize=7)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.tick_params(labelsize=7)
    axes.set_title(title, fontsize=9)
    return save_figure(figure, path)


def draw_pick_statistics(
    path: str | os.PathLike[str],
    fom: npt.ArrayLike,
    counts: npt.ArrayLike,
) -> Path:
    """Draw the histogram of all figures of merit, and the number of picks of each micrograph; write a PNG.

    Parameters
    ----------
    path : path
    fom : (picks,)
    counts : (micrographs,)
    """
    values, counts = np.asarray(fom, float), np.asarray(counts)
    values = values[np.isfinite(values)]
    figure = new_figure(9, 3.2, layout=None)
    places = {"left": 0.08, "right": 0.98, "bottom": 0.16, "top": 0.9, "wspace": 0.2}
    left, right = (plain_axes(axes) for axes in figure.subplots(1, 2, gridspec_kw=places))
    left.hist(values, bins=min(60, max(10, len(values) // 20)), color=ACCENT)
    left.set(xlabel="figure of merit", ylabel="picks", title=f"{len(values)} picks")
    right.plot(np.arange(1, len(counts) + 1), counts, "o", color=ACCENT, markersize=3)
    right.set(xlabel="micrograph", ylabel="picks", title=f"{len(counts)} micrographs")
    right.set_ylim(0, 1.1 * max(1, counts.max(initial=0)))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (left, right):
        axes.title.set_fontsize(9)
    return save_figure(figure, path)
