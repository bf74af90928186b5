"""Reference documentation made from declared options."""

from boxwood.options.declare import Option, Options


def markdown(options: type[Options]) -> str:
    """Return Markdown tables of the options, one for each group."""
    lines: list[str] = []
    refused: dict[str, list[str]] = {}
    groups: dict[str, list[Option]] = {}
    for declared in options.declared():
        if declared.refused:
            refused.setdefault(declared.refused, []).append(f"`{declared.argument}`")
        else:
            groups.setdefault(declared.group, []).append(declared)
    for group, members in groups.items():
        lines += [f"### {group}", "", "| option | value | default | what it does | RELION |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(declared) for declared in members]
        lines.append("")
    for reason, arguments in refused.items():
        lines += [f"Not accepted: {', '.join(arguments)}: {reason}.", ""]
    return "\n".join(lines)


def _row(declared: Option) -> str:
    argument = declared.argument
    if declared.kind.scalar is bool:
        argument = argument.replace("--", "--[no-]", 1)
    if declared.required:
        default = "required"
    elif declared.default is None or declared.default == ():
        default = ""
    else:
        default = declared.kind.relion(declared.kind.convert(declared.default))
    named = declared.joboption
    names = named if isinstance(named, tuple) else (getattr(named, "name", named),)
    relion = [f"`{name}`" for name in (*names, declared.flag) if isinstance(name, str) and name]
    cells = [f"`{argument}`", declared.expected, default, declared.help, " ".join(relion)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
