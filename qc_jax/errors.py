"""The one exception that a user is meant to read."""

from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Something the user gave is wrong: a file, a flag, a field, a row.

    The message is one line that names the thing, what was expected and what came. Scripts print it
    and leave with exit code 2; anything else that is raised is a bug here.

    Example:
      >>> import qc_jax
      >>> try:
      ...     qc_jax.create("egnn", hidden=0)
      ... except qc_jax.InputError as error:
      ...     print(error)
      hyper-parameter hidden of egnn: expected at least 1, got 0
    """


def expect(name: str, value: Any, kind: type | tuple[type, ...], what: str) -> None:
    """Raise InputError, naming `what` was expected as `name`, unless the value is of the kind."""
    if not isinstance(value, kind):
        raise InputError(f"{name}: expected {what}, got {' '.join(repr(value).split()):.60}")


NUMBER = (int, float, type(None))  # as JSON holds one that may not be known
_WORDS = {str: "text", int: "a whole number", NUMBER: "a number", object: "anything"}


def expect_fields(name: str, value: Any, kind: Any) -> None:
    """Raise InputError, naming what is wrong in `name`, unless JSON's value is built as a kind.

    Args:
      name: what messages call the value.
      value: as `json.loads` returns it.
      kind: a type or several; `[KIND]`, a list of such; `{...: KIND}`, fields of any name; or
        `{"field": KIND}`, at least these fields, but for those whose name here ends in '?'.
    """
    if isinstance(kind, list):
        expect(name, value, list, "a list")
        for at, one in enumerate(value):
            expect_fields(f"{name}: [{at}]", one, kind[0])
    elif isinstance(kind, dict):
        expect(name, value, dict, "fields and their values")
        for key, inner in kind.items():
            for field in value if key is ... else (key.removesuffix("?"),):
                if field in value:
                    expect_fields(f"{name}: {field}", value[field], inner)
                elif not key.endswith("?"):
                    there = ", ".join(value) or "none"
                    raise InputError(f"{name}: expected a field {field!r}, got {there}")
    else:
        expect(name, value, kind, _WORDS[kind])


def expect_schema(name: str, value: Any, newest: int) -> None:
    """Raise InputError unless a file's version of its format is one that this code reads.

    Args:
      name: what messages call it.
      value: as `json.loads` returns it.
      newest: the last that is known; the first is 1.
    """
    if type(value) is not int or value < 1:
        raise InputError(f"{name}: expected a whole number from 1, got {value!r:.60}")
    if value > newest:
        raise InputError(f"{name}: expected at most {newest}, got {value}: of a newer qc_jax")


def choose(kind: str, name: str, choices: Iterable[str]) -> None:
    """Raise InputError unless `name` is among `choices`, naming them all."""
    name = plain(name)
    known = sorted(map(plain, choices))
    if name not in known:
        listed = ", ".join(item or "''" for item in known)
        raise InputError(f"unknown {kind} {name!r}; choose one of: {listed}")


def plain(value: Any) -> Any:
    """Return a value as a message shows it: NumPy's scalars and bytes as Python's own.

    `f"{plain(unit)!r}"` is `'eV'` of `np.str_('eV')` and of `b'eV'`.
    """
    if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
