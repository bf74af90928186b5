"""Write coordinates, particles or class averages of a project for other programs."""

from __future__ import annotations

from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.export_options import ExportOptions
from boxwood.jobs.job import Job, JobResult


def run(options: ExportOptions, context: JobContext) -> JobResult:
    """Write what was asked for below the folder."""
    from boxwood.jobs.exchange.export_coordinates import export_coordinates
    from boxwood.jobs.exchange.export_particles import export_averages, export_particles

    options.directory.mkdir(parents=True, exist_ok=True)
    if options.class_averages is not None:
        return export_averages(options, context)
    if options.with_images:
        return export_particles(options, context)
    return export_coordinates(options, context)


JOB = Job(name="export", options=ExportOptions, run=run, has_directory=True)
