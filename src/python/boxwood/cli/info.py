"""`boxwood info`: what this installation is made of and what it uses here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence

from boxwood.options.arguments import ArgumentParser


def info(words: Sequence[str]) -> int:
    """Print versions, instruction sets, threads and GPU."""
    parser = ArgumentParser(prog="boxwood info", description="Show versions, processor and GPU.")
    parser.add_argument("--json", action="store_true", help="write one JSON object, for programs")
    as_json = parser.parse_args(words).json
    facts = collect()
    if as_json:
        print(json.dumps(facts))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            print(f"{name:<{width}}  {shown}")
    return 0


def collect() -> dict[str, str | list[str]]:
    """Return the facts by name."""
    import boxwood
    from boxwood.backends import available_threads, cpu_status, cuda_status
    from boxwood.jobs.cluster import cluster_status
    from boxwood.jobs.record import libraries

    simd = cpu_status()
    return {
        "boxwood": boxwood.__version__,
        "python": platform.python_version(),
        "libraries": [f"{name} {version}" for name, version in libraries().items()],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "SIMD compiled": simd["compiled"],
        "SIMD runnable": simd["runnable"],
        "SIMD chosen": simd["chosen"][0] + (" (by BOXWOOD_SIMD)" if os.environ.get("BOXWOOD_SIMD") else ""),
        "threads": str(available_threads()),
        "CUDA": cuda_status(),
        "cluster": cluster_status(),
    }
