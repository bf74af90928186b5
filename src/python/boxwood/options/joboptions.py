"""RELION's joboptions made from declared options."""

from boxwood.options.declare import Option, Options


def joboptions(options: Options) -> dict[str, str]:
    """Return RELION's joboptions for these values: {"log_diam_min": "150", "do_invert": "Yes", ...}."""
    found: dict[str, str] = {}
    for declared in options.declared():
        value = getattr(options, declared.name)
        if callable(declared.joboption):
            found.update(declared.joboption(value))
            continue
        names = (declared.joboption,) if isinstance(declared.joboption, str) else declared.joboption
        text = _unset(declared) if value is None else declared.kind.relion(value)
        found.update(dict.fromkeys(names, text))
    return found


def _unset(declared: Option) -> str:
    if declared.unset is not None:
        return declared.unset
    return "-1" if declared.kind.scalar in (int, float) else ""
