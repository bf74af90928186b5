"""The adaptive method of autopick: a model for the data set, then one micrograph after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError, InputError
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.jobs.context import JobContext
from boxwood.jobs.picking_model import FILE, read_model, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from boxwood.picking.adaptive import AdaptiveModel, AdaptivePicks
    from boxwood.typing import AnyArray, FloatArray

LOCAL_FDR = "boxwoodLocalFdr"
_BLOCK = 8  # pixels


def model_for(
    options: AutopickOptions, context: JobContext, files: dict[str, Path], pixel_sizes: dict[str, float]
) -> AdaptiveModel | None:
    """The model that is given, that of the job that is continued, or one learned now and stored.

    None, with a warning, where nothing was found; there is a warning, too, where that is not convincing.
    """
    path = context.output / FILE
    if options.model is not None:
        model = read_model(options.model)
    elif context.continuing and path.exists():
        model = read_model(path)
    else:
        learned = learn(options, context, files, pixel_sizes)
        if learned is None:
            context.warn(
                "nothing on these micrographs looks like a particle, so nothing is picked; "
                "check diameters and pixel size, or use the method log"
            )
            return None
        model = learned
    write_model(path, model, dialect=context.dialect)
    context.log(
        f"particles are {model.particle_diameter_angstrom:.0f} A in diameter, and are sought with a mean "
        f"and {len(model.components)} components"
    )
    if not model.convincing:
        context.warn(
            "what was found has no score of its own, as particles have, and may well be noise, ice or "
            + (
                "contamination"
                if options.doubtful
                else "contamination, so nothing is picked; `doubtful` picks it"
            )
        )
    return model


def learn(
    options: AutopickOptions, context: JobContext, files: dict[str, Path], pixel_sizes: dict[str, float]
) -> AdaptiveModel | None:
    """Learn from micrographs spread over the list."""
    images = learned_from(options, list(files), files.__getitem__, context.check_abort)
    sizes = [pixel_sizes[name] for name in images]
    return learn_with(
        options,
        list(images.values()),
        sizes,
        context.threads,
        lambda done: context.progress(done, 1, "learning"),
    )


def learn_with(
    options: AutopickOptions,
    images: Sequence[FloatArray],
    pixel_sizes: Sequence[float],
    threads: int,
    progress: Callable[[float], None],
) -> AdaptiveModel | None:
    """Learn from these micrographs as the options say."""
    from boxwood.picking.adaptive import learn_model

    low, high = options.diameter_range()
    return learn_model(
        images,
        pixel_sizes,
        min_diameter=low,
        max_diameter=high,
        white_particles=options.white_particles,
        seed=options.seed,
        threads=threads,
        progress=progress,
    )


def learned_from(
    options: AutopickOptions, names: list[str], file_of: Callable[[str], Path], check: Callable[[], None]
) -> dict[str, FloatArray]:
    """Micrographs spread over the list, by name; those that cannot be used give way to the next.

    `check` is called before each, to raise where nobody waits for it any more.
    """
    from boxwood.io.mrc import read_image

    images: dict[str, FloatArray] = {}
    for name in spread(names, options.learn_from):
        check()
        try:
            image = np.ascontiguousarray(read_image(file_of(name)).data, np.float32)
        except (BoxwoodError, OSError):
            continue  # it is named when it is to be picked
        if _says_something(image):
            images[name] = image
        if len(images) == options.learn_from:
            break
    if not images:
        raise InputError("none of the micrographs can be read, so there is nothing to learn from")
    return images


def _says_something(image: FloatArray) -> bool:
    """Whether all pixels are numbers, and most are not of one value, as where a file was cut off."""
    ny, nx = (n - n % _BLOCK for n in image.shape)
    blocks = image[:ny, :nx].reshape(ny // _BLOCK, _BLOCK, nx // _BLOCK, _BLOCK).mean(axis=(1, 3))
    if not blocks.size or not np.isfinite(image.mean(dtype=np.float64)):
        return False
    return bool(np.median(np.abs(blocks - np.median(blocks))) > 0)


def spread(names: list[str], count: int) -> list[str]:
    """`count` names evenly spread over the list, then the others."""
    first = [names[i * len(names) // min(count, len(names))] for i in range(min(count, len(names)))]
    chosen = set(first)
    return first + [name for name in names if name not in chosen]


def pick(
    image: AnyArray, pixel_size: float, model: AdaptiveModel, options: AutopickOptions, threads: int
) -> AdaptivePicks:
    """Pick a micrograph as the options say."""
    from boxwood.picking.adaptive import pick_adaptive

    return pick_adaptive(
        image,
        pixel_size,
        model,
        max_local_fdr=options.max_local_fdr,
        min_distance=options.min_distance,
        skip_side=options.skip_side,
        threads=threads,
    )


def columns(picks: AdaptivePicks | None) -> pd.DataFrame:
    """The table of picks, with RELION's columns and the local false-discovery rate."""
    none = np.zeros(0)
    x, y, score, rate = (none,) * 4 if picks is None else (picks.x, picks.y, picks.score, picks.local_fdr)
    return pd.DataFrame(
        {
            "rlnCoordinateX": x,
            "rlnCoordinateY": y,
            "rlnAutopickFigureOfMerit": score,
            "rlnClassNumber": 0,
            "rlnAnglePsi": 0.0,
            LOCAL_FDR: rate,
        }
    )
