"""The reference of the jobs: complete, fresh, and in step with the contract of the command line."""

from pathlib import Path

import pytest

from boxwood.cli.reference import reference
from boxwood.jobs.registry import JOBS, load_job

DOCUMENT = Path(__file__).parents[2] / "docs/jobs.md"


def test_the_document_is_as_the_declarations_make_it():
    assert DOCUMENT.read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("name", JOBS)
def test_every_job_is_whole(name):
    job = load_job(name)
    assert job.name == name
    assert all(declared.help or declared.refused for declared in job.options.declared())
    if job.process is not None:
        assert job.folder and job.process in range(20)
