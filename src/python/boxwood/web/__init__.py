"""The browser page: a thin layer over the jobs and options of the command line.

`serve` starts it. A request passes `guard` (who may ask), a module of `routes` (what is asked), and ends in
functions that know no HTTP: `images`, `inside`, and the packages below. Pages are in `static/`. How a view is
added is in docs/extending.md.
"""
