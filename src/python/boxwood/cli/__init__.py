"""The `boxwood` command."""


def main() -> int:
    return 0
