"""The one exception that a user is meant to read."""

from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave is wrong: a file, a flag, a field, a row.

    The message is one line that names the thing, what was expected and what came. Scripts print it
    and leave with exit code 2; anything else that is raised is a bug here.
    """


def choose(kind: str, name: str, choices: Iterable[str]) -> None:
    """Raises InputError unless `name` is among `choices`, naming them all."""
    known = sorted(choices)
    if name not in known:
        listed = ", ".join(item or "''" for item in known)
        raise InputError(f"unknown {kind} {name!r}; choose one of: {listed}")
