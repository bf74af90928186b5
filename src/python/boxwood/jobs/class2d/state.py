"""`run_itNNN_state.npz`: what the six digits of STAR files lose, so that going on is exact to the bit.

The averages are not in it: `run_itNNN_classes.mrcs` has them in full.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxwood.errors import FileFormatError
from boxwood.io.atomic import atomic_write
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.class2d import Class2DParameters, IterationResult, OpticsGroup

_VERSION = 2
# Parts of a result that are written in their own way, or, the posterior, elsewhere.
_APART = {"model", "assignments", "measures", "sampling", "convergence", "posterior", "sums"}


@dataclass(frozen=True)
class Settings:
    """Everything a classification is told besides its particles."""

    parameters: Class2DParameters
    ctf: bool = True
    ctf_phase_flipped: bool = False
    ctf_intact_first_peak: bool = False
    noise_groups: str = "optics"


@dataclass(frozen=True)
class State:
    """One iteration, its settings, and what it needs that is not in its STAR files.

    Attributes
    ----------
    result : IterationResult
    settings : Settings
    root : Path
        Folder that image names start from.
    ctf_rows : (n, 9) float64 or None
    history : (iterations, columns) float64
        See `boxwood.jobs.class2d.convergence`.
    optics : tuple of OpticsGroup
        None if they are to be taken from the STAR file.
    """

    result: IterationResult
    settings: Settings
    root: Path
    ctf_rows: AnyArray | None
    history: AnyArray
    optics: tuple[OpticsGroup, ...] = ()


def write_state(path: str | os.PathLike[str], state: State) -> None:
    """Write `state` without its averages, whole or not at all."""
    result = state.result
    arrays: dict[str, Any] = {
        "version": _VERSION,
        "settings": json.dumps(asdict(state.settings)),
        "root": str(state.root),
        "history": state.history,
        "optics": json.dumps([asdict(group) for group in state.optics], default=lambda array: array.tolist()),
        "sampling_psi": result.sampling.psi,
        "sampling_offsets": result.sampling.offsets,
        **_pack("model_", result.model, without={"references", "shells"}),
        **_pack("assignments_", result.assignments),
        **_pack("measures_", result.measures),
        **_pack("convergence_", result.convergence),
        **_pack("result_", result, without=_APART),
    }
    if result.model.shells is not None:
        arrays.update(_pack("shells_", result.model.shells))
    if result.sums is not None:
        arrays.update(_pack("sums_", result.sums))
    if state.ctf_rows is not None:
        # Most columns are the same for all particles: the voltage need not be saved a million times.
        varying = (state.ctf_rows != state.ctf_rows[0]).any(axis=0)
        arrays["ctf_first"], arrays["ctf_varying"] = state.ctf_rows[0], np.flatnonzero(varying)
        arrays["ctf_rows"] = state.ctf_rows[:, varying]
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def read_state(path: str | os.PathLike[str], averages: AnyArray) -> State:
    """Read what `write_state` wrote; `averages` come from the iteration's stack.

    Raises
    ------
    FileFormatError
        The file is damaged or of another version.
    """
    from boxwood.class2d import Assignments, Class2DParameters, IterationResult, Model, OpticsGroup
    from boxwood.class2d.convergence import Convergence
    from boxwood.class2d.measures import ClassMeasures
    from boxwood.class2d.model import Shells
    from boxwood.class2d.sampling import Sampling
    from boxwood.class2d.statistics import Statistics

    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        if arrays["version"] != _VERSION:
            raise ValueError(f"it is version {arrays['version']}, expected {_VERSION}")
        settings = json.loads(str(arrays["settings"]))
        settings["parameters"] = Class2DParameters(**settings["parameters"])
        result = IterationResult(
            **_unpack("result_", IterationResult, arrays),
            model=Model(
                references=averages,
                shells=Shells(**_unpack("shells_", Shells, arrays)) if "shells_noise" in arrays else None,
                **_unpack("model_", Model, arrays),
            ),
            assignments=Assignments(**_unpack("assignments_", Assignments, arrays)),
            convergence=Convergence(**_unpack("convergence_", Convergence, arrays)),
            measures=ClassMeasures(**_unpack("measures_", ClassMeasures, arrays)),
            sampling=Sampling(int(arrays["sampling_psi"]), arrays["sampling_offsets"]),
            sums=Statistics(**_unpack("sums_", Statistics, arrays)) if "sums_count" in arrays else None,
        )
        root, history = Path(str(arrays["root"])), arrays["history"]
        optics = tuple(OpticsGroup(**_as_given(group)) for group in json.loads(str(arrays["optics"])))
        return State(result, Settings(**settings), root, _ctf_rows(arrays), history, optics)
    except OSError:  # the disk's fault
        raise
    except Exception as error:  # what NumPy and zipfile raise for damaged bytes has no end
        raise FileFormatError(
            f"{path} cannot be read ({error}); remove it to go on from the STAR files, which have six digits."
        ) from None


def _ctf_rows(arrays: Mapping[str, AnyArray]) -> AnyArray | None:
    if "ctf_rows" not in arrays:
        return None
    rows = np.tile(arrays["ctf_first"], (len(arrays["ctf_rows"]), 1))
    rows[:, arrays["ctf_varying"]] = arrays["ctf_rows"]
    return rows


def _as_given(group: dict[str, Any]) -> dict[str, Any]:
    """Fields of an `OpticsGroup` from what JSON makes of them: lists of lists are arrays, others tuples."""
    return {
        name: np.array(value) if np.ndim(value) == 2 else tuple(value) if isinstance(value, list) else value
        for name, value in group.items()
    }


def _pack(prefix: str, value: Any, without: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    return {prefix + f.name: getattr(value, f.name) for f in fields(value) if f.name not in without}


def _unpack(prefix: str, cls: type, arrays: Mapping[str, AnyArray]) -> dict[str, Any]:
    """Fields of `cls` found in `arrays`; single numbers become Python's, lists tuples."""
    found: dict[str, Any] = {}
    for f in fields(cls):
        if prefix + f.name not in arrays:
            continue
        value = arrays[prefix + f.name]
        if value.ndim == 0:
            found[f.name] = value.item()
        else:
            found[f.name] = tuple(value.tolist()) if f.default is not MISSING else value
    return found
