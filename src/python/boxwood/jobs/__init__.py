"""Jobs: what a user asks for. Files in, files out, with progress, cancelling and going on.

A job is a module with an options class, a function, and a `JOB` that ties them to RELION's job type::

    from dataclasses import dataclass
    from pathlib import Path

    from boxwood.jobs.context import JobContext
    from boxwood.jobs.job import Job, JobResult
    from boxwood.options import Options, option

    @dataclass(frozen=True, kw_only=True)
    class BlurOptions(Options):
        micrographs: Path = option(
            "micrographs STAR file", group="I/O", input="micrographs", joboption="fn_in", flag="--i"
        )
        width: float = option("width of the blur", 20.0, unit="Å", above=0, joboption="lowpass")

    def run(options: BlurOptions, context: JobContext) -> JobResult:
        micrographs = MicrographSet.read(options.micrographs)
        names = micrographs.table["rlnMicrographName"]

        def blur(name: str) -> int:                 # in a thread; give kernels threads=1 here
            path = context.output_path(name, "_blur.mrc")   # below the job's folder, as RELION has it
            if context.continuing and path.exists():
                return ...
            ...                                     # raise to make this one item a bad one
        for done in context.map(blur, names, what="micrograph"):
            ...                                     # done.item, done.result: in order, bad items left out
        with context.picture("histogram"):          # a picture that fails is a warning
            ...
        path = context.output / "micrographs.star"
        micrographs.write(path, dialect=context.dialect)
        context.add_output(path, "micrographs")     # becomes a node of RELION's pipeline
        return JobResult(files={"micrographs": path}, tables={"micrographs": micrographs.table},
                         summary=f"{len(names)} micrographs blurred")

    JOB = Job(name="blur", folder="Blur", options=BlurOptions, run=run, process=4, label="relion.blur")

The module is then listed in `boxwood.jobs.registry`, which makes it a command (`boxwood blur
--micrographs M.star --width 20`) and a method (`Project().blur(micrographs="M.star", width=20)`).
A job runs in its project's folder: relative names are relative to that folder, as in RELION. Import
heavy things inside functions, so that `boxwood --help` stays fast.
"""
