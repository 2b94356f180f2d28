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
        raise InputError(f"{name}: expected {what}, got {value!r:.60}")


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
