"""The iterations of a 2D classification: their averages, what is known of classes, and convergence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError, InputError
from boxwood.io.mrc import read_stack
from boxwood.io.star import read_star
from boxwood.web.particles import Gallery, gallery_of
from boxwood.web.workspace import Workspace

# RELION 3.1 calls the iterations of a run that it continues run_ct5_it006 and so on.
_MODEL = re.compile(r"(run(?:_ct\d+)?_it(\d+))_model\.star")
# What RELION writes for a number that is not known.
_UNKNOWN = 999.0
_LABELS = {
    "share": "rlnClassDistribution",
    "resolution": "rlnEstimatedResolution",
    "accuracy_psi": "rlnAccuracyRotations",
    "accuracy_offset": "rlnAccuracyTranslationsAngst",
}


@dataclass(frozen=True)
class Iteration:
    """One iteration, of this program or of RELION.

    Attributes
    ----------
    number : int
    stem : str
        Its files' names, within the project, begin so: "Class2D/job003/run_it025".
    """

    number: int
    stem: str

    def name(self, kind: str) -> str:
        """`model.star`, `data.star`, `optimiser.star` or `classes.mrcs`."""
        return f"{self.stem}_{kind}"


def iterations(workspace: Workspace, job: str) -> list[Iteration]:
    """The iterations whose averages and model are there; `job` is "Class2D/job003/".

    Of two that a continued run has written under one number, the newer counts.
    """
    found: dict[int, tuple[float, Iteration]] = {}
    for path in (workspace.root / job).glob("run*_it*_model.star"):
        match = _MODEL.fullmatch(path.name)
        if match is None or not path.with_name(f"{match[1]}_classes.mrcs").exists():
            continue
        age = path.stat().st_mtime
        number = int(match[2])
        if number not in found or found[number][0] < age:
            found[number] = (age, Iteration(number, f"{job}{match[1]}"))
    return [found[number][1] for number in sorted(found)]


def class_table(workspace: Workspace, iteration: Iteration) -> dict[str, list[Any]]:
    """What is known of every class, in lists by class.

    Keys: number, share, resolution and accuracies (None if unknown), score, and the reasons for it.
    """
    classes, general, _ = _tables(workspace, iteration)
    optimiser = _optimiser(workspace, iteration)
    table: dict[str, list[Any]] = {"number": list(range(1, len(classes) + 1))}
    for name, label in _LABELS.items():
        values = classes[label].to_numpy(np.float64) if label in classes else np.full(len(classes), np.nan)
        table[name] = [_known(value) for value in values.tolist()]
    stack = workspace.read(iteration.name("classes.mrcs"))
    stamp = stack.stat()
    model = workspace.read(iteration.name("model.star"))

    def score() -> tuple[dict[str, list[Any]], int]:
        from boxwood.class2d.selection import score_classes
        from boxwood.jobs.saved_iteration import class_files, half_set_frc

        averages = read_stack(stack)[:]
        mask = float(optimiser.get("rlnParticleDiameter", 0)) or None
        pixel = float(general["rlnPixelSize"])
        scores = score_classes(class_files(averages, classes, pixel, mask, half_set_frc(model)))
        rounded = [round(value, 4) for value in scores.score.tolist()]
        return {"score": rounded, "reasons": scores.reasons()}, 200 * len(averages)

    key = ("scores", str(stack), stamp.st_mtime_ns, stamp.st_size)
    return {**table, **workspace.pictures.get(key, score)}


def class_sizes(workspace: Workspace, iteration: Iteration, count: int) -> list[int] | None:
    """How many particles are in each class; None where the iteration's particles were not kept."""
    particles = particles_of(workspace, iteration)
    if particles is None or "rlnClassNumber" not in particles.particles.table:
        return None
    numbers = particles.particles.table["rlnClassNumber"].to_numpy(np.int64)
    return np.bincount(np.clip(numbers, 0, count), minlength=count + 1)[1:].tolist()


def particles_of(workspace: Workspace, iteration: Iteration) -> Gallery | None:
    name = iteration.name("data.star")
    return gallery_of(workspace, name) if workspace.read(name).exists() else None


def convergence(workspace: Workspace, job: str) -> list[dict[str, Any]]:
    """A row for every iteration but 0; None is what is not known.

    Keys: iteration, log_likelihood (in our runs the mean over particles: `per_particle`), resolution (Å, of
    the best class), largest_probability (mean), classes
    (effective number: the exponential of the entropy of the shares), largest (share), changed_classes (part
    of the particles), changed_psi (degree), changed_offset (Å), accuracy_psi, accuracy_offset.
    """
    rows = []
    for iteration in iterations(workspace, job):
        if iteration.number == 0:  # the initial model has been compared with nothing
            continue
        try:
            _, _, row = _tables(workspace, iteration)
            optimiser = _optimiser(workspace, iteration)
        except (BoxwoodError, OSError, KeyError, ValueError):  # half-written, or not whole
            continue
        more = {
            "changed_classes": "rlnChangesOptimalClasses",
            "changed_psi": "rlnChangesOptimalOrientations",
            "changed_offset": "rlnChangesOptimalOffsets",
            "accuracy_psi": "rlnOverallAccuracyRotations",
            "accuracy_offset": "rlnOverallAccuracyTranslationsAngst",
        }
        found = {name: _known(float(optimiser.get(label, _UNKNOWN))) for name, label in more.items()}
        rows.append({"iteration": iteration.number, **row, **found})
        if "bwLogLikelihood" in optimiser:
            rows[-1].update(log_likelihood=float(optimiser["bwLogLikelihood"]), per_particle=True)
    return rows


def _tables(
    workspace: Workspace, iteration: Iteration
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """The model's classes and general table, and its part of a row of `convergence`."""
    path = workspace.read(iteration.name("model.star"))
    stamp = path.stat()

    def make() -> tuple[tuple[pd.DataFrame, dict[str, Any], dict[str, Any]], int]:
        tables = read_star(path, until="model_class_")
        classes, general = tables.get("model_classes"), tables.get("model_general")
        if classes is None or not isinstance(general, dict):
            raise InputError(f"{path.name} is not the model of a classification")
        classes = classes if isinstance(classes, pd.DataFrame) else pd.DataFrame([classes])
        return (classes, general, _row(classes, general)), 1000 + 100 * len(classes)

    found: tuple[pd.DataFrame, dict[str, Any], dict[str, Any]] = workspace.pictures.get(
        ("model", str(path), stamp.st_mtime_ns, stamp.st_size), make
    )
    return found


def _row(classes: pd.DataFrame, general: dict[str, Any]) -> dict[str, Any]:
    share = classes["rlnClassDistribution"].to_numpy(np.float64)
    populated = share[share > 0]
    resolution = classes.get("rlnEstimatedResolution", pd.Series(dtype=float)).to_numpy(np.float64)
    best = float(resolution[share > 0].min(initial=np.inf)) if len(resolution) else np.inf
    return {
        "log_likelihood": _known(float(general.get("rlnLogLikelihood", np.nan)), np.inf),
        "per_particle": False,
        "resolution": _known(best),
        "largest_probability": _known(float(general.get("rlnAveragePmax", np.nan))),
        "classes": round(float(np.exp(-np.sum(populated * np.log(populated)))), 3),
        "largest": float(share.max(initial=0)),
    }


def _optimiser(workspace: Workspace, iteration: Iteration) -> dict[str, Any]:
    """The values of the optimiser file, and our own of this iteration; empty if there is no such file."""
    path: Path = workspace.read(iteration.name("optimiser.star"))
    if not path.exists():
        return {}
    stamp = path.stat()

    def make() -> tuple[dict[str, Any], int]:
        tables = read_star(path)
        general, ours = tables.get("optimiser_general"), tables.get("boxwood_convergence")
        found = dict(general) if isinstance(general, dict) else {}
        if ours is not None:
            rows = ours if isinstance(ours, pd.DataFrame) else pd.DataFrame([ours])
            found.update(rows.iloc[-1].to_dict())
        return found, 4000

    kept: dict[str, Any] = workspace.pictures.get(
        ("optimiser", str(path), stamp.st_mtime_ns, stamp.st_size), make
    )
    return kept


def _known(value: float, unknown: float = _UNKNOWN) -> float | None:
    return float(f"{value:.7g}") if np.isfinite(value) and value < unknown else None
