"""RELION's joboptions made from declared options."""

from boxwood.options.declare import Option, Options


def joboptions(options: Options, generation: int = 3) -> dict[str, str]:
    """Return RELION's joboptions for these values: {"log_diam_min": "150", "do_invert": "Yes", ...}.

    `generation` is RELION's: 3, 4 or 5.
    """
    found: dict[str, str] = {}
    for declared in options.declared():
        value = getattr(options, declared.name)
        if callable(declared.joboption):
            found.update(declared.joboption(value))
            continue
        name = declared.joboption
        if isinstance(name, tuple):
            name = name[0 if generation == 3 else 1]
        if name:
            found[name] = _unset(declared) if value is None else declared.kind.relion(value)
    return found


def _unset(declared: Option) -> str:
    if declared.unset is not None:
        return declared.unset
    return "-1" if declared.kind.scalar in (int, float) else ""
