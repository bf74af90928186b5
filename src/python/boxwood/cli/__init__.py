"""The `boxwood` command."""

from boxwood.cli.command import main

__all__ = ["main"]
