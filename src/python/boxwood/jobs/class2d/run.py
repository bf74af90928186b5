"""Run a 2D classification: from a particles STAR file, or from an earlier iteration."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from boxwood.backends import Backend
from boxwood.errors import BoxwoodError, InputError
from boxwood.execution import Behind, one_behind
from boxwood.jobs.class2d.convergence import add_iteration, convergence_table, empty_history
from boxwood.jobs.class2d.files import (
    IterationFiles,
    earlier_optimisers,
    later_files,
    newest,
    read_iteration,
    start_particles,
    write_iteration,
)
from boxwood.jobs.class2d.memory import rows_gib, with_room_for_rows
from boxwood.jobs.class2d.options import Class2DOptions
from boxwood.jobs.class2d.scratch import copied
from boxwood.jobs.class2d.size import check_iterations_fit
from boxwood.jobs.class2d.state import Settings, State
from boxwood.jobs.continuing import refuse_changes
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.pixel_sizes import compare_with_headers
from boxwood.options.arguments import as_command
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.class2d import Class2DParameters, IterationResult, OpticsGroup
    from boxwood.jobs.class2d.particles import ParticleData, ParticleSource
    from boxwood.jobs.context import JobContext


# An iteration means something only to who treats the particles as it did. Its own file is asked, for it may
# be RELION's; the other options say themselves what may change.
_KEEPS = ("ctf", "ctf_phase_flipped", "ctf_intact_first_peak", "noise_groups")
# What other jobs read of the last iteration.
_NODES = {"data": "class2d_data", "model": "class2d_model", "optimiser": "class2d_optimiser"}
# What else a job leaves that is worth naming.
_OTHERS = {"classes": "classes.mrcs", "posterior": "posterior.npz"}
# Iterations whose averages the tutorial looks at, beside the last.
_PICTURED = (1, 3, 7)
# Iterations between two pictures of the convergence; a picture takes as long as a thousand particles.
_CURVES_EVERY = 25


def run(options: Class2DOptions, context: JobContext) -> JobResult:
    """Classify, and write every iteration as RELION does."""
    state, data, settings = _begin(options, context)
    source = data.source()
    context.use(source.images.files)
    compare_with_headers(data.pixel_size_of_files(source), context)
    optics = (state.optics if state else ()) or tuple(data.optics(source, context.warn))
    _make_way(state, context)
    if state is not None and state.result.finished(settings.parameters):  # but for its end the job was done
        _draw(state, context)
        files = _files(state.result, context)
        return _finish(files, state.result, data.particles.table, state.history, context)
    history = empty_history() if state is None else state.history
    command = shlex.join(["boxwood", "class2d", *as_command(options)])
    writer: Behind[pd.DataFrame]
    named = _BadParticles(data, source, context)
    backend = context.backend(options.backend)
    first = 0 if state is None else state.result.iteration
    box = optics[0].box_px
    check_iterations_fit(data, box, settings.parameters, first, options.write_every, context)
    scratch = copied(source.images, options.scratch, options.keep_free_scratch * 1e9, context)
    with scratch, one_behind() as writer:
        for result in _iterations(state, data, source, optics, settings, backend, context):
            named.add(result)
            history = add_iteration(history, result)
            context.log(_line(result, history))
            if not _is_written(result.iteration, options.write_every, settings):
                context.check_abort()
                continue
            files = _files(result, context)
            saved = State(result, settings, data.root, data.ctf_rows, history, optics)
            writer.start(partial(_write, files, saved, data, command, context))
            context.check_abort()
        written = writer.wait()
    return _finish(files, result, written, history, context)


def _is_written(iteration: int, every: int, settings: Settings) -> bool:
    """All iterations over the whole set are; of mini-batches, which are short, only some."""
    parameters = settings.parameters
    return parameters.algorithm == "em" or iteration % every == 0 or iteration == parameters.last_iteration


def _files(result: IterationResult, context: JobContext) -> IterationFiles:
    return IterationFiles(context.name + "run", result.iteration)


def _write(
    files: IterationFiles, state: State, data: ParticleData, command: str, context: JobContext
) -> pd.DataFrame:
    """Write an iteration and draw its pictures; returns the table of the particles."""
    table = write_iteration(files, state, data, dialect=context.dialect, command=command)
    _draw(state, context)
    return table


def _iterations(
    state: State | None,
    data: ParticleData,
    source: ParticleSource,
    optics: Sequence[OpticsGroup],
    settings: Settings,
    backend: Backend,
    context: JobContext,
) -> Iterator[IterationResult]:
    """The iterations after `state`, or all from 0 on."""
    from boxwood.class2d import classify2d
    from boxwood.io.class2d_data import read_assignments
    from boxwood.jobs.class2d.relion import from_relion_pose

    if state is None:
        first = 0
        known = read_assignments(data.particles.table)
        psi, offset = from_relion_pose(
            known.psi_deg, known.origin_angstrom, data.pixel_size_angstrom, data.magnification_of_rows
        )
    else:
        first = state.result.iteration
        psi, offset = state.result.assignments.psi_deg, state.result.assignments.offset_px
    parameters = settings.parameters
    if context.executor.local:  # workers have no rows but those that they work on
        if rows_gib(data) > parameters.memory_gib:
            context.warn(
                f"the rows of {len(data.particles)} particles take {rows_gib(data):.1f} GiB, more than "
                f"--memory-gib {parameters.memory_gib:g}: all transforms are made again in every iteration; "
                "give more, if there is more"
            )
        parameters = with_room_for_rows(parameters, data)
    last = parameters.last_iteration

    def progress(iteration: int, done: int, total: int) -> None:
        text = f"particles, iteration {iteration} of {last}"
        context.progress((iteration - first - 1) * total + done, (last - first) * total, text)

    return classify2d(
        source,
        data.ctf_rows,
        optics=optics,
        optics_groups=data.optics_group,
        parameters=parameters,
        ctf_mode=data.ctf_mode,
        noise_groups=data.noise_group,
        micrographs=data.scale_group,
        half_sets=data.half_sets,
        psi_deg=psi,
        offset_px=offset,
        start=None if state is None else state.result,
        backend=backend,
        executor=context.executor,
        progress=progress,
        warn=context.warn,
    )


def _begin(options: Class2DOptions, context: JobContext) -> tuple[State | None, ParticleData, Settings]:
    """The iteration to go on from, or None; the particles; the settings."""
    from boxwood.io.particles import ParticleSet

    if context.continue_from is not None:
        earlier = IterationFiles.of(context.continue_from)
        state, data = _read(earlier)
        parameters = options.changes(state.settings.parameters, context.given)
        refuse_changes(vars(state.settings), options, context.given, _KEEPS)
        if state.result.finished(parameters) and not (context.interrupted and _own(context)):
            raise InputError(_nothing_left(earlier, state.result.iteration, parameters))
        context.log(f"going on after iteration {state.result.iteration} of {earlier.name('optimiser.star')}")
        return state, data, replace(state.settings, parameters=parameters)
    if options.particles is None and context.continuing:
        raise InputError(
            f"{context.name} has no iteration yet to go on from; give the particles to begin anew"
        )
    if options.particles is None:
        raise InputError(
            "please give particles (the STAR file of the particles), or an iteration with --continue"
        )
    settings = Settings(
        options.parameters(),
        ctf=options.ctf,
        ctf_phase_flipped=options.ctf_phase_flipped,
        ctf_intact_first_peak=options.ctf_intact_first_peak,
        noise_groups=options.noise_groups,
    )
    return None, start_particles(ParticleSet.read(options.particles), settings), settings


def _nothing_left(earlier: IterationFiles, iteration: int, parameters: Class2DParameters) -> str:
    if iteration < parameters.last_iteration:
        why, more = "has converged", "to go on all the same, give --no-until-converged"
    else:
        number = "--mini-batches" if parameters.algorithm == "vdam" else "--iterations"
        why, more = f"is the last of {iteration} iterations", f"to go on, give a larger number with {number}"
    return f"{earlier.path('optimiser.star')} {why}; {more}"


def _own(context: JobContext) -> bool:
    """Whether the job goes on from an iteration in its own folder."""
    earlier = context.continue_from
    return earlier is not None and earlier.parent.resolve() == context.output.resolve()


def _read(files: IterationFiles) -> tuple[State, ParticleData]:
    """The iteration to go on from; if it is damaged, the one before is named."""
    try:
        return read_iteration(files)
    except BoxwoodError as error:
        before = earlier_optimisers(files)
        advice = f" Go on from an iteration before it: --continue {before[-1]}" if before else ""
        raise type(error)(f"cannot go on from {files.path('optimiser.star')}: {error}{advice}") from error


def _make_way(state: State | None, context: JobContext) -> None:
    """Going on from an iteration before the last, put away those after it, which do not follow from it."""
    if state is None or not _own(context):
        return
    later = later_files(context.output, state.result.iteration)
    if later:
        where = context.put_away(path for files in later.values() for path in files)
        context.log(f"iterations {min(later)} to {max(later)} of {context.name} {where}, to be made anew")


class _BadParticles:
    """Names what gets no weight, once: files that cannot be read, and images or CTFs that cannot be used."""

    def __init__(self, data: ParticleData, source: ParticleSource, context: JobContext) -> None:
        self._names, self._images, self._context = (
            data.particles.table["rlnImageName"],
            source.images,
            context,
        )
        self._named: set[str | int] = set()

    def add(self, result: IterationResult) -> None:
        """Name those that this iteration found."""
        from boxwood.class2d.screening import Fault

        for name, reason in self._images.bad.items():
            self._name(name, name, reason)
        for i in result.bad:
            if self._images.usable[i]:
                self._name(i, str(self._names.iloc[i]), Fault(result.faults[i]).sentence)

    def _name(self, key: str | int, name: str, reason: str) -> None:
        if key not in self._named:
            self._named.add(key)
            self._context.bad(name, reason)


def _line(result: IterationResult, history: AnyArray) -> str:
    row = convergence_table(history).iloc[-1]
    if result.iteration == 0:
        return f"iteration 0: {len(result.model.shares)} averages of random particles"
    return (
        f"iteration {result.iteration}: resolution {row.resolution_angstrom:.1f} Å, "
        f"{row.populated_classes:.0f} of {len(result.model.shares)} classes populated, "
        f"{100 * row.changed_classes:.1f} % of the particles changed class, "
        f"log-likelihood {row.log_likelihood:.2f}"
    )


def _draw(state: State, context: JobContext) -> None:
    result, last = state.result, state.result.finished(state.settings.parameters)
    if last or result.iteration in _PICTURED:
        name = f"class_averages_it{result.iteration:03d}.png"
        with context.picture(name):
            from boxwood.report import draw_class_averages

            draw_class_averages(
                context.output / name,
                result.class_averages,
                result.model.shares,
                result.resolution_angstrom,
                f"class averages after iteration {result.iteration}",
            )
    if last or (result.iteration and result.iteration % _CURVES_EVERY == 0):
        with context.picture("convergence.png"):
            from boxwood.report import draw_convergence

            table = convergence_table(state.history)
            draw_convergence(context.output / "convergence.png", table, len(result.model.shares))


def _finish(
    files: IterationFiles,
    result: IterationResult,
    table: pd.DataFrame,
    history: AnyArray,
    context: JobContext,
) -> JobResult:
    paths = {kind: files.path(f"{kind}.star") for kind in _NODES}
    for kind, node in _NODES.items():
        context.add_output(paths[kind], node)
    others = {kind: files.path(name) for kind, name in _OTHERS.items() if files.path(name).is_file()}
    row = convergence_table(history).iloc[-1]
    return JobResult(
        files={**paths, **others},
        tables={"particles": table, "convergence": convergence_table(history)},
        values={
            "iterations": result.iteration,
            "populated_classes": int(row.populated_classes),
            "resolution_angstrom": float(row.resolution_angstrom),
        },
        summary=(
            f"{int((result.assignments.class_index >= 0).sum())} particles in {int(row.populated_classes)} "
            f"classes, the best at {row.resolution_angstrom:.1f} Å, after {result.iteration} iterations"
        ),
    )


def _makes(options: Class2DOptions, dialect: str) -> dict[str, str]:
    """The last iteration's files, if it is known which that will be."""
    parameters = options.parameters()
    if parameters.until_converged:
        return {}
    files = IterationFiles("run", parameters.last_iteration)
    return {files.name(f"{kind}.star"): node for kind, node in _NODES.items()}


JOB = Job(
    name="class2d",
    folder="Class2D",
    options=Class2DOptions,
    run=run,
    process=8,
    label="relion.class2d",
    joboptions={"fn_cont": "", "do_helix": "No"},
    resumes=newest,
    resume_field="fn_cont",
    makes=_makes,
    not_on_workers=lambda options: "all of recipe relion" if options.recipe == "relion" else "",
)
