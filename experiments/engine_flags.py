"""Flags of the engines: one for each field of each engine's `Options`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from qc_jax.engines import generate
from qc_jax.engines.engine import Engine
from qc_jax.errors import InputError
from qc_jax.runs.cli import Flags

_DEFINE: dict[Any, Any] = {
    str: Flags.string,
    str | None: Flags.string,
    int: Flags.integer,
    float: Flags.number,
    bool: Flags.boolean,
    tuple[str, ...]: Flags.strings,
}


class EngineFlags:
    """--engine, and the options of all engines as flags of a script.

    Args:
      flags: of the script, which get them.
    """

    def __init__(self, flags: Flags):
        self.engine = flags.enum("engine", "tblite", sorted(generate.ENGINES), "Who computes.")
        self._owners: dict[str, list[str]] = {}
        fields: dict[str, dataclasses.Field] = {}
        for name in generate.ENGINES:
            options: Any = generate.options_of(name)
            for field in dataclasses.fields(options):
                self._owners.setdefault(field.name, []).append(name)
                fields[field.name] = field
        self._values = {
            flag: _DEFINE[field.type](
                *(flags, flag, None),
                f"{field.metadata['help']} (engine {', '.join(self._owners[flag])})",
            )
            for flag, field in fields.items()
        }

    def create(self, symbols: Sequence[str] | None, workspace: str) -> Engine:
        """Return the engine with the options that the flags say.

        Args:
          symbols: elements that it is to compute; all that it knows unless given.
          workspace: a directory for files that it keeps.

        Raises:
          InputError: a flag of another engine alone was given, or a value is wrong.
        """
        options = {flag: one.value for flag, one in self._values.items() if one.value is not None}
        for flag, value in options.items():
            if self.engine.value not in self._owners[flag]:
                raise InputError(f"--{flag} belongs to --engine={' or '.join(self._owners[flag])}")
            options[flag] = tuple(value) if isinstance(value, list) else value
        return generate.create_engine(self.engine.value, symbols, workspace, **options)
