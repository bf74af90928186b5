"""The files of one iteration: RELION's four STAR files and stack, and our state beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.class2d_data import assigned_table, read_assignments
from boxwood.io.class2d_model import beside, read_model, write_model
from boxwood.io.class2d_optimiser import fine_sampling, optimiser_table, sampling_table
from boxwood.io.class2d_posterior import write_posterior
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star, write_star
from boxwood.jobs.class2d.convergence import add_iteration, empty_history
from boxwood.jobs.class2d.measures import class_tables, convergence_tables
from boxwood.jobs.class2d.particles import ParticleData, prepare
from boxwood.jobs.class2d.relion import result_of, saved_assignments, saved_model, saved_posterior
from boxwood.jobs.class2d.state import Settings, State, read_state, write_state

# RELION 3.1 calls the iterations of a run that it continues run_ct5_it006 and so on.
_FILE = re.compile(r"run(?:_ct\d+)?_it(\d{3,})_")
_NAME = re.compile(r"(.*)_it(\d{3,})_(?:optimiser|model|data|sampling)\.star$")


@dataclass(frozen=True)
class IterationFiles:
    """Names of the files of one iteration; `root` is "Class2D/job008/run"."""

    root: str
    iteration: int

    def path(self, kind: str) -> Path:
        """`data.star`, `model.star`, `optimiser.star`, `sampling.star`, `classes.mrcs` or `state.npz`."""
        return Path(f"{self.root}_it{self.iteration:03d}_{kind}")

    def name(self, kind: str) -> str:
        """The same as STAR files have it."""
        return self.path(kind).as_posix()

    @classmethod
    def of(cls, path: Path) -> IterationFiles:
        """The iteration that one of its STAR files belongs to.

        Raises
        ------
        InputError
            It is not named like one.
        """
        match = _NAME.match(path.as_posix())
        if match is None:
            raise InputError(f"{path} is no file of an iteration; give one like run_it003_optimiser.star")
        return cls(match[1], int(match[2]))


def newest(folder: Path) -> Path | None:
    """The optimiser of the last iteration in `folder` all of whose files were written: it is written last."""

    def age(path: Path) -> tuple[int, float]:
        return IterationFiles.of(path).iteration, path.stat().st_mtime

    return max(folder.glob("run*_it*_optimiser.star"), key=age, default=None)


def earlier_optimisers(files: IterationFiles) -> list[Path]:
    """The optimisers of all iterations before this one in its folder, in their order."""
    found = {
        IterationFiles.of(path).iteration: path
        for path in Path(files.root).parent.glob("run*_it*_optimiser.star")
    }
    return [found[iteration] for iteration in sorted(found) if iteration < files.iteration]


def later_files(folder: Path, iteration: int) -> dict[int, list[Path]]:
    """The files of all iterations after this one, by iteration, the last first.

    The optimiser of each is the first of its files: without it, what is left is never taken for whole.
    """
    later: dict[int, list[Path]] = {}
    for path in sorted(folder.glob("run*_it*"), key=lambda path: not path.name.endswith("_optimiser.star")):
        match = _FILE.match(path.name)
        if match and int(match[1]) > iteration:
            later.setdefault(int(match[1]), []).append(path)
    return dict(sorted(later.items(), reverse=True))


def write_iteration(
    files: IterationFiles, state: State, data: ParticleData, *, dialect: str, command: str = ""
) -> pd.DataFrame:
    """Write all files of an iteration, the optimiser last; returns the table of the particles."""
    result, parameters = state.result, state.settings.parameters
    pixel = result.pixel_size_angstrom
    write_model(
        files.path("model.star"),
        files.path("classes.mrcs"),
        saved_model(result, data, parameters.regularisation, dialect),
        iteration=result.iteration,
        dialect=dialect,
        more=class_tables(result),
    )
    assigned = saved_assignments(
        result.assignments, result.model.norm, result.model.references.shape[1], data
    )
    table = assigned_table(data.particles.table, data.scale_group, assigned, result.iteration)
    replace(data.particles, table=table).write(files.path("data.star"), dialect=dialect)
    if result.iteration:
        sampling = sampling_table(
            result.sampling.psi_step_deg if parameters.turns else parameters.psi_step_deg,
            parameters.offset_range_px * pixel,
            (result.sampling.offset_step_px or parameters.offset_step_px) * pixel,
            0.0 if result.model.shells is None else result.model.shells.perturbation,
        )
        write_star(files.path("sampling.star"), {"sampling_general": sampling}, dialect=dialect)
    if result.posterior is not None and result.finished(parameters):
        write_posterior(files.path("posterior.npz"), saved_posterior(result.posterior, data))
    write_state(files.path("state.npz"), state)
    optimiser = optimiser_table(_optimiser_values(files, state), dialect)
    write_star(
        files.path("optimiser.star"),
        {"optimiser_general": optimiser, **convergence_tables(state.history)},
        dialect=dialect,
        comments=("RELION optimiser; written by boxwood", command),
    )
    return table


def _optimiser_values(files: IterationFiles, state: State) -> dict[str, Any]:
    from boxwood.class2d.measures import overall_accuracies

    result, settings, p = state.result, state.settings, state.settings.parameters
    pixel, converging = result.pixel_size_angstrom, result.convergence
    changes, smallest = (999.0, 999.0, 9999999.0), (999.0, 999.0, 9999999.0)
    if result.iteration:
        changes = (result.changed_psi_deg, result.changed_offset_px * pixel, result.changed_classes)
    if max(converging.smallest) < math.inf:
        classes, psi, offset = converging.smallest
        smallest = (psi, offset * pixel, classes)
    rotation, shift = overall_accuracies(result.measures, result.model.shares)
    best = float(result.resolution_angstrom.min())
    return {
        "rlnOutputRootName": files.root,
        "rlnModelStarFile": files.name("model.star"),
        "rlnExperimentalDataStarFile": files.name("data.star"),
        "rlnOrientSamplingStarFile": files.name("sampling.star"),
        "rlnCurrentIteration": result.iteration,
        "rlnNumberOfIterations": p.last_iteration,
        "rlnRandomSeed": p.seed,
        "rlnParticleDiameter": p.mask_diameter_angstrom,
        "rlnDoZeroMask": int(p.zero_mask),
        "rlnHighresLimitExpectation": p.limit_resolution_angstrom or -1.0,
        "rlnLowresLimitExpectation": p.limit_low_resolution_angstrom or -1.0,
        "rlnDoFastSubsetOptimisation": int(p.fast_subsets),
        "rlnTau2FudgeArg": p.regularisation,
        "rlnBestResolutionThusFar": 1 / best if math.isfinite(best) else 0.0,
        "rlnNumberOfIterWithoutResolutionGain": converging.without_gain,
        "rlnNumberOfIterWithoutChangingAssignments": converging.without_change,
        "rlnHasConverged": int(converging.reached),
        "rlnDoSkipAlign": int(not p.align),
        "rlnDoSkipRotate": int(p.skip_rotate),
        "rlnOverallAccuracyRotations": rotation if rotation < math.inf else 999.0,
        "rlnOverallAccuracyTranslationsAngst": shift * pixel if shift < math.inf else 999.0,
        "rlnChangesOptimalOrientations": changes[0],
        "rlnChangesOptimalOffsets": changes[1],
        "rlnChangesOptimalClasses": changes[2],
        "rlnSmallestChangesOrientations": smallest[0],
        "rlnSmallestChangesOffsets": smallest[1],
        "rlnSmallestChangesClasses": smallest[2],
        "rlnDoCorrectNorm": int(p.norm_correction),
        "rlnDoCorrectScale": int(p.scale_correction),
        "rlnDoCorrectCtf": int(settings.ctf),
        "rlnDoCenterClasses": int(p.center_classes),
        "rlnDoIgnoreCtfUntilFirstPeak": int(settings.ctf_intact_first_peak),
        "rlnCtfDataArePhaseFlipped": int(settings.ctf_phase_flipped),
    }


def read_iteration(files: IterationFiles) -> tuple[State, ParticleData]:
    """Read an iteration, of ours with all its digits, of RELION's with those its STAR files have.

    Raises
    ------
    FileFormatError
        A file is missing or damaged, or they do not belong together.
    """
    optimiser_path = _there(files.path("optimiser.star"))
    optimiser = read_star(optimiser_path).get("optimiser_general")
    if not isinstance(optimiser, dict):
        raise FileFormatError(f"{optimiser_path} has no table data_optimiser_general.")
    _there(files.path("classes.mrcs"))
    data_path = _there(beside(optimiser_path, str(optimiser["rlnExperimentalDataStarFile"])))
    particles = ParticleSet.read(data_path)
    if not files.path("state.npz").is_file():
        return _from_star(files, optimiser, particles)
    state = read_state(files.path("state.npz"), read_stack(files.path("classes.mrcs"))[:])
    if len(state.result.assignments.psi_deg) != len(particles) or state.result.iteration != files.iteration:
        raise FileFormatError(
            f"{files.path('state.npz')} does not belong to {particles.source}; remove it to go on from the "
            "STAR files, which have six digits."
        )
    data = _prepare(particles, state.settings, state.root)
    pixel = state.result.pixel_size_angstrom
    return state, replace(data, ctf_rows=state.ctf_rows, pixel_size_angstrom=pixel)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileFormatError(f"{path} is missing; give an iteration that has it.")
    return path


def _from_star(
    files: IterationFiles, optimiser: Mapping[str, Any], particles: ParticleSet
) -> tuple[State, ParticleData]:
    """What RELION's own files say."""
    from boxwood.class2d import Class2DParameters

    optimiser_path = files.path("optimiser.star")
    model_path = _there(beside(optimiser_path, str(optimiser["rlnModelStarFile"])))
    saved = read_model(model_path)
    pixel = saved.pixel_size_angstrom
    sampling = Class2DParameters()
    psi_step, offset_range, offset_step = (
        sampling.psi_step_deg,
        sampling.offset_range_px * pixel,
        sampling.offset_step_px * pixel,
    )
    sampling_path = beside(optimiser_path, str(optimiser["rlnOrientSamplingStarFile"]))
    perturbation = 0.0
    if sampling_path.is_file():  # RELION's iteration 0 has none
        table = read_star(sampling_path)["sampling_general"]
        psi_step, offset_range, offset_step = fine_sampling(
            table, int(optimiser["rlnAdaptiveOversampleOrder"])
        )
        perturbation = float(table.get("rlnSamplingPerturbInstance", 0.0))
    limit, low = (float(optimiser[f"rln{side}resLimitExpectation"]) for side in ("High", "Low"))
    count = int(optimiser["rlnNumberOfIterations"])
    parameters = Class2DParameters(
        classes=len(saved.shares),
        iterations=count,
        algorithm="vdam" if optimiser.get("rlnDoGradientRefine") else "em",
        mini_batches=count,
        regularisation=saved.regularisation,
        mask_diameter_angstrom=float(optimiser["rlnParticleDiameter"]),
        psi_step_deg=psi_step,
        offset_range_px=offset_range / pixel,
        offset_step_px=offset_step / pixel,
        zero_mask=bool(optimiser["rlnDoZeroMask"]),
        limit_resolution_angstrom=limit if limit > 0 else None,
        limit_low_resolution_angstrom=low if low > 0 else None,
        align=not optimiser["rlnDoSkipAlign"],
        skip_rotate=bool(optimiser["rlnDoSkipRotate"]),
        fast_subsets=bool(optimiser["rlnDoFastSubsetOptimisation"]),
        norm_correction=bool(optimiser["rlnDoCorrectNorm"]),
        scale_correction=bool(optimiser["rlnDoCorrectScale"]),
        center_classes=bool(optimiser.get("rlnDoCenterClasses", True)),
        seed=max(int(optimiser["rlnRandomSeed"]), 0),
    )
    settings = Settings(
        parameters,
        ctf=bool(optimiser["rlnDoCorrectCtf"]),
        ctf_phase_flipped=bool(optimiser["rlnCtfDataArePhaseFlipped"]),
        ctf_intact_first_peak=bool(optimiser["rlnDoIgnoreCtfUntilFirstPeak"]),
        noise_groups="micrograph" if saved.noise_of_groups else "optics",
    )
    data = _prepare(particles, settings, None)
    result = result_of(
        saved,
        read_assignments(data.particles.table),
        data,
        iteration=int(optimiser["rlnCurrentIteration"]),
        psi_step_deg=psi_step,
        offset_range_px=parameters.offset_range_px,
        offset_step_px=parameters.offset_step_px,
        perturbation=perturbation,
    )
    history = add_iteration(empty_history(), result)
    return State(result, settings, data.root, data.ctf_rows, history), data


def _prepare(particles: ParticleSet, settings: Settings, root: Path | None) -> ParticleData:
    return prepare(
        particles,
        ctf=settings.ctf,
        ctf_phase_flipped=settings.ctf_phase_flipped,
        ctf_intact_first_peak=settings.ctf_intact_first_peak,
        noise_groups=settings.noise_groups,
        root=root,
    )


def start_particles(particles: ParticleSet, settings: Settings) -> ParticleData:
    """The particles of a new classification."""
    return _prepare(particles, settings, None)
