"""The adaptive method to be tried: what it learns, and the score maps that all settings pick from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.backends import available_threads
from boxwood.errors import InputError
from boxwood.io.mrc import read_image
from boxwood.jobs import picking_model
from boxwood.jobs.adaptive_picking import learn_with, learned_from
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.web.picking import Source, micrograph_of, options_of, pixel_sizes
from boxwood.web.workspace import Workspace

if TYPE_CHECKING:
    from boxwood.picking.adaptive import AdaptiveModel, ScoreMap

# Options on which a model depends, beside the range of diameters; all others only choose among its peaks.
LEARNED_WITH = ("white_particles", "seed", "learn_from", "pixel_size")
# A local false-discovery rate that lets all peaks pass.
_ANY = 1.0


def range_of(options: AutopickOptions) -> tuple[float | None, float | None]:
    """Smallest and largest diameter, as the page shows and sends them back."""
    low, high = options.diameter_range()
    return low and round(low, 6), high and round(high, 6)


def how_far(workspace: Workspace, source: Source, options: AutopickOptions, start: bool) -> dict[str, Any]:
    """How learning with these options stands: `state` is "none", "learning", "nothing" or "ready".

    A job's own model needs no learning where it was learned with the same options; `model` is its file.

    Parameters
    ----------
    start : bool
        Begin if nothing is known yet.
    """
    if file := _model_of_job(workspace, source, options):
        return {**_shown(_read(workspace, file)), "model": str(file)}
    key = _key(workspace, source, options)
    found = workspace.learnings.get(key)
    if start:
        found = workspace.learnings.start(key, lambda told: _learn(workspace, source, options, told))
    if found is None:
        return {"state": "none"}
    return _shown(found.model()) if found.ended else {"state": "learning", "done": found.done}


def _shown(model: AdaptiveModel | None) -> dict[str, Any]:
    if model is None:
        return {"state": "nothing"}
    return {
        "state": "ready",
        "diameter": model.particle_diameter_angstrom,
        "components": len(model.components),
        "convincing": model.convincing,
        "model": "",
    }


def cancel(workspace: Workspace, source: Source, options: AutopickOptions) -> None:
    """Stop learning with these options."""
    workspace.learnings.cancel(_key(workspace, source, options))


def peaks(workspace: Workspace, source: Source, name: str, options: AutopickOptions) -> dict[str, Any]:
    """Return every peak of a micrograph, best first: x, y, fom and its local false-discovery rate.

    The job's picks are those whose rate is at most `max_local_fdr`.
    """
    key, model = _model(workspace, source, options)
    score = _score_map(workspace, source, name, options, key, model)
    found = score.picks(_ANY, options.min_distance, options.skip_side)
    return {
        "x": found.x.round(3).tolist(),
        "y": found.y.round(3).tolist(),
        "fom": found.score.tolist(),
        "rate": found.local_fdr.tolist(),
        "reason": found.reason,
    }


def _model(workspace: Workspace, source: Source, options: AutopickOptions) -> tuple[Hashable, AdaptiveModel]:
    """The model for these options, and what tells it from others."""
    file = _model_of_job(workspace, source, options)
    if file is not None:
        return (file, workspace.read(file).stat().st_mtime_ns), _read(workspace, file)
    key = _key(workspace, source, options)
    learning = workspace.learnings.get(key)
    model = learning.model() if learning is not None and learning.ended else None
    if model is None:
        raise InputError("nothing is learned with these settings yet")
    return key, model


def _key(workspace: Workspace, source: Source, options: AutopickOptions) -> Hashable:
    stat = workspace.read(source.star).stat()
    told = (options.diameter_range(), *(getattr(options, name) for name in LEARNED_WITH))
    return source.star, stat.st_mtime_ns, stat.st_size, told


def _learn(
    workspace: Workspace, source: Source, options: AutopickOptions, told: Callable[[float], None]
) -> AdaptiveModel | None:
    sizes = dict(zip(source.names, pixel_sizes(source, options.pixel_size), strict=True))
    if not all(sizes.values()):
        raise InputError(f"{source.star} does not tell the pixel size; give it")
    images = learned_from(options, source.names, workspace.read, lambda: told(0.0))
    known = [size for name in images if (size := sizes[name])]
    return learn_with(options, list(images.values()), known, available_threads(), told)


def _model_of_job(workspace: Workspace, source: Source, options: AutopickOptions) -> Path | None:
    """The file of the model that the source has learned, or was given, if it is the one for these options."""
    file = Path(source.name) / picking_model.FILE
    if source.pick_name != "autopick" or not workspace.read(file).is_file():
        return None
    kept = options_of(workspace, source)
    assert isinstance(kept, AutopickOptions)
    same = range_of(kept) == range_of(options)
    same = same and all(getattr(kept, name) == getattr(options, name) for name in LEARNED_WITH)
    return file if kept.method == "adaptive" and same else None


def _read(workspace: Workspace, file: Path) -> AdaptiveModel:
    path = workspace.read(file)
    stat = path.stat()
    key = ("picking model", path, stat.st_mtime_ns, stat.st_size)
    model: AdaptiveModel = workspace.pictures.get(
        key, lambda: (picking_model.read_model(path), 2 * stat.st_size)
    )
    return model


def _score_map(
    workspace: Workspace,
    source: Source,
    name: str,
    options: AutopickOptions,
    key: Hashable,
    model: AdaptiveModel,
) -> ScoreMap:
    from boxwood.picking.adaptive import score_micrograph

    path, pixel_size = micrograph_of(workspace, source, name, options.pixel_size)
    stat = path.stat()

    def make() -> tuple[ScoreMap, int]:
        score = score_micrograph(read_image(path).data, pixel_size, model, threads=available_threads())
        return score, score.nbytes

    whole = ("score", source.name, name, stat.st_mtime_ns, stat.st_size, pixel_size, key)
    scored: ScoreMap = workspace.pictures.get(whole, make)
    return scored
