"""Picking, extraction and classification of micrographs while they come from the microscope; docs/live.md."""

from boxwood.jobs.live.run import JOB

__all__ = ["JOB"]
