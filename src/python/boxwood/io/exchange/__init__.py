"""Files of other programs: coordinates and particles, each in that program's own conventions.

Readers return RELION's columns and units, but still in the frame of the image that the other program worked
on; `boxwood.imaging.frames` brings them into that of the project's micrographs. docs/formats.md tells each
convention, and where it is documented.
"""
