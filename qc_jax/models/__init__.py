"""Architectures, one a file: `create("egnn", hidden=64)`.

A file `NAME.py` here defines `Model`, a Flax module whose fields are its hyper-parameters:

* `Model.inputs`: what it reads, in the words of `qc_jax.data.targets.INPUTS`;
* `Model(outputs=T, …)(batch, train=False)`: a `Batch` of B structures → [B, T].

Files whose name starts with an underscore hold what architectures share.
"""

import dataclasses
import importlib
import pkgutil
from typing import Any

import flax.linen as nn
import jax

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError, choose


def available() -> tuple[str, ...]:
    """The names that `create` knows."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def create(name: str, **overrides: Any) -> nn.Module:
    """The architecture called `name`, its hyper-parameters replaced by `overrides`.

    Raises:
      InputError: unknown name or hyper-parameter, or a value of another type than the default's;
        the message lists the choices.
    """
    choose("model", name, available())
    model = importlib.import_module(f"{__name__}.{name}").Model
    fields = {
        field.name: field for field in dataclasses.fields(model) if field.name not in _FLAX_FIELDS
    }
    for key, value in overrides.items():
        choose(f"hyper-parameter of {name}", key, fields)
        default: Any = fields[key].default
        expected = type(default)
        if expected is float and type(value) is int:
            overrides[key] = float(value)
        elif type(value) is not expected:
            raise InputError(
                f"hyper-parameter {key} of {name}: expected {expected.__name__} like "
                f"{default!r}, got {value!r}"
            )
        elif expected is int and value < 1:
            raise InputError(f"hyper-parameter {key} of {name}: expected at least 1, got {value}")
    return model(**overrides)


def apply(model: nn.Module, params: Any, batch: Batch, **kwargs: Any) -> jax.Array:
    """Outputs [B, T] of `model` with the weights `params`; `kwargs` as in Flax's `apply`."""
    outputs = model.apply({"params": params}, batch, **kwargs)
    assert isinstance(outputs, jax.Array)
    return outputs


_FLAX_FIELDS = ("parent", "name")
