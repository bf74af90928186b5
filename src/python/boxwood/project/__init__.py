"""The RELION-compatible project folder: job folders, pipeline files, aliases, locks, exit markers."""
