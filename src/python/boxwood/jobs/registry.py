"""The jobs there are. Modules are imported when a job is asked for, so that the command line is quick."""

from importlib import import_module

from boxwood.errors import InputError
from boxwood.jobs.job import Job

# Command: (module that has JOB, one line for the list of commands). The order is that of the work.
JOBS: dict[str, tuple[str, str]] = {
    "import-micrographs": (
        "boxwood.jobs.exchange.import_micrographs",
        "list your micrographs: the first job of a project",
    ),
    "select-micrographs": (
        "boxwood.jobs.select_micrographs",
        "choose micrographs by number, name, metadata, or at random",
    ),
    "import": (
        "boxwood.jobs.exchange.import_files",
        "bring in coordinates, particles or class averages of other programs",
    ),
    "manual-pick": ("boxwood.jobs.manual_pick", "pick by hand, or bring in coordinates"),
    "autopick": (
        "boxwood.jobs.autopick",
        "pick particles by their size, by what they look like, or with templates",
    ),
    "tune-picking": (
        "boxwood.jobs.tune_picking",
        "find the diameter, threshold and distance for autopick, by what 2D classification says of the picks",
    ),
    "extract": ("boxwood.jobs.extract", "cut particles out of micrographs, rescale and normalise them"),
    "class2d": ("boxwood.jobs.class2d", "classify particles in two dimensions by maximum likelihood"),
    "select-classes": ("boxwood.jobs.select_classes", "keep good classes: templates and their particles"),
    "select-particles": (
        "boxwood.jobs.select_particles",
        "choose particles: by their scores, metadata or statistics; split, remove duplicates",
    ),
    "export": (
        "boxwood.jobs.exchange.export_files",
        "write coordinates, particles or class averages for other programs",
    ),
    "run": ("boxwood.jobs.run", "all of it on your micrographs: autopick, extract, class2d, select"),
    "live": ("boxwood.jobs.live", "pick, extract and classify micrographs while they come"),
    "demo": ("boxwood.jobs.demo", "all of it on a small simulated project, with a report"),
    "simulate": ("boxwood.jobs.simulate", "simulate micrographs with known particles"),
}


def load_job(name: str) -> Job:
    """Return the job called `name` ("autopick", "select-classes" or "select_classes").

    Raises
    ------
    InputError
        If there is no such job.
    """
    name = name.replace("_", "-")
    if name not in JOBS:
        raise InputError(f"there is no job {name!r}; there are {', '.join(JOBS)}")
    job: Job = import_module(JOBS[name][0]).JOB
    return job
