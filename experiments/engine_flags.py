"""Flags of the engines: one for each field of each engine's `Options`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from qc_jax.engines import generate
from qc_jax.engines.engine import Engine
from qc_jax.errors import InputError

_DEFINE: dict[Any, Any] = {
    str: flags.DEFINE_string,
    str | None: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    tuple[str, ...]: flags.DEFINE_list,
}


def define() -> dict[str, list[str]]:
    """Define the flags; return by flag the engines that have it."""
    owners: dict[str, list[str]] = {}
    fields: dict[str, dataclasses.Field] = {}
    for name in generate.ENGINES:
        options: Any = generate.options_of(name)
        for field in dataclasses.fields(options):
            owners.setdefault(field.name, []).append(name)
            fields[field.name] = field
    for flag, field in fields.items():
        text = f"{field.metadata['help']} (engine {', '.join(owners[flag])})"
        _DEFINE[field.type](flag, None, text)
    return owners


def create_engine(
    name: str, owners: dict[str, list[str]], symbols: Sequence[str] | None, workspace: str
) -> Engine:
    """Return the engine called `name` with the options that the flags say.

    Args:
      name: of the engine.
      owners: what `define` gave.
      symbols: elements that it is to compute; all that it knows unless given.
      workspace: a directory for files that it keeps.

    Raises:
      InputError: a flag of another engine alone was given, or a value is wrong.
    """
    options = {}
    for flag, engines in owners.items():
        value = flags.FLAGS[flag].value
        if value is None:
            continue
        if name not in engines:
            raise InputError(f"--{flag} belongs to --engine={' or '.join(engines)}")
        options[flag] = tuple(value) if isinstance(value, list) else value
    return generate.create_engine(name, symbols, workspace, **options)
