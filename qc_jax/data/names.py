"""Names of larger structures, `KIND:PATH?option=value`, as `--data` and `config.data` say."""

import os
import urllib.parse
from typing import NamedTuple

from qc_jax.errors import InputError, choose

# The kinds, and the options that each takes behind a '?'.
KINDS: dict[str, tuple[str, ...]] = {
    "qm9": (),
    "md17": (),
    "crysmtm": (),
    "extxyz": ("energy", "forces", "stress"),
}
_WITHOUT_PATH = ("qm9",)  # it is downloaded


class DataName(NamedTuple):
    """What a name says.

    Attributes:
      kind: One of `KINDS`.
      path: Of a file or directory, '' for none.
      options: By name.
    """

    kind: str
    path: str
    options: dict[str, str]


def is_structures(data: str) -> bool:
    """Return whether `data` names larger structures, not a table of pairs."""
    return data.partition(":")[0] in KINDS


def parse_structures(data: str) -> DataName:
    """Return what a name of larger structures says.

    Raises:
      InputError: an unknown kind or option, or no such path.
    """
    kind, _, rest = data.partition(":")
    choose("structures", kind, KINDS)
    path, options = rest, {}
    if KINDS[kind]:
        path, _, query = rest.partition("?")
        try:
            pairs = urllib.parse.parse_qsl(query, True, strict_parsing=bool(query))
        except ValueError:
            raise InputError(f"{data}: expected options like ?energy=KEY&forces=KEY") from None
        for name, value in pairs:
            choose(f"option of {kind}", name, KINDS[kind])
            if name in options:
                raise InputError(f"{data}: the option {name} stands twice")
            if not value:
                raise InputError(f"{data}: the option {name} is empty; expected a key of the file")
            options[name] = value
    if not path and kind not in _WITHOUT_PATH:
        raise InputError(f"{data}: expected a path, as in {kind}:PATH")
    if path and not os.path.exists(path):
        raise InputError(f"{data}: no such file or directory: {path}")
    return DataName(kind, path, options)
