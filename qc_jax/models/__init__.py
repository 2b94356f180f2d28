"""Architectures, one a file: `create("egnn", hidden=64)`.

A file `NAME.py` here is one architecture. The first paragraph of its docstring is "Title: its
source", with its arXiv number, DOI or OpenReview page in it, and it defines `Model`, a Flax module:

* its fields are its hyper-parameters: int, float, bool, `Literal["some", "words"]` or
  `tuple[int, ...]`, each with a default; `outputs` is how many targets it has. A field called
  `channels` holds canvas channels, `cutoff` a length, `dropout` a rate: their range is checked.
  `check()`, where there is one, raises InputError for what does not go together;
* `Model.inputs`, a class variable or a property: what it reads, in the words of
  `qc_jax.data.targets.INPUTS`;
* `Model.rough`, where there is one, a class variable: why its outputs are no smooth function of
  positions, in words; nothing can then move on them;
* `Model.max_atomic_number`: the last element of its tables, where it reads elements;
* `Model(…)(batch, train=False)`: a `Batch` of B structures → [B, outputs].
* `Model(…).solve(structures, labels)`, where there is one: its variables at once, from the training
  rows and their scaled labels [N, T] on the host; it is then not trained by steps.

`TORCH` in that file, where a PyTorch reference exists, names its weights: see `_torch.py`. Files
whose name starts with an underscore hold what architectures share.
"""

import dataclasses
import importlib
import math
import pkgutil
import types
import typing
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from qc_jax.canvas import CHANNELS, FEATURES
from qc_jax.data.batch import Batch
from qc_jax.data.targets import TARGETS, given_away
from qc_jax.errors import InputError, choose
from qc_jax.models import _torch
from qc_jax.models._check import check

__all__ = [
    "Description",
    "Variables",
    "apply",
    "apply_training",
    "available",
    "check",
    "create",
    "defaults",
    "describe",
    "from_torch",
    "sample",
]

Variables = Mapping[str, Any]  # 'params' and the other collections, nested dicts of arrays


def available() -> tuple[str, ...]:
    """The names that `create` knows."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def create(name: str, **overrides: Any) -> nn.Module:
    """The architecture called `name`, its hyper-parameters replaced by `overrides`.

    Raises:
      InputError: unknown name or hyper-parameter, or a value of another type than the default's or
        out of range; the message lists the choices.
    """
    model = _module(name).Model
    fields = _fields(model)
    values = {}
    for key, value in overrides.items():
        choose(f"hyper-parameter of {name}", key, fields)
        values[key] = _value(f"hyper-parameter {key} of {name}", fields[key], value)
    made = model(**values)
    if hasattr(made, "check"):
        made.check()
    return made


def defaults(name: str) -> dict[str, Any]:
    """The hyper-parameters of `name` with their defaults, `outputs` left out.

    Raises:
      InputError: unknown name.
    """
    fields = _fields(_module(name).Model)
    return {key: field.default for key, field in fields.items() if key != "outputs"}


@dataclasses.dataclass(frozen=True)
class Description:
    """What an architecture is.

    Attributes:
      name: what `create` calls it.
      title: what the literature calls it.
      paper: its source, with the arXiv number or DOI.
      inputs: what it reads, by default, in the words of `qc_jax.data.targets.INPUTS`.
      parameters: how many numbers are trained, by default and with one output.
      given_away: the targets that its inputs give away; a score on them says nothing.
    """

    name: str
    title: str
    paper: str
    inputs: tuple[str, ...]
    parameters: int
    given_away: tuple[str, ...]


def describe(name: str) -> Description:
    """What the architecture called `name` is, with its default hyper-parameters.

    Raises:
      InputError: unknown name.
    """
    model = create(name)
    first_paragraph = " ".join((_module(name).__doc__ or "").partition("\n\n")[0].split())
    title, _, paper = first_paragraph.partition(": ")
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), sample()))
    inputs = tuple(model.inputs)
    return Description(
        name=name,
        title=title,
        paper=paper.removesuffix("."),
        inputs=inputs,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])),
        given_away=tuple(key for key in TARGETS if given_away(key, inputs)),
    )


def sample(canvas_size: int = 32) -> Batch:
    """One pair with a canvas: what a model's shapes can be learned from."""
    return Batch(
        atomic_numbers=jnp.array([[1, 8]], jnp.int32),
        positions=jnp.array([[[0, 0, 0], [0, 0, 1]]], jnp.float32),
        neighbors=jnp.array([[[1], [0]]], jnp.int32),
        canvas_features=jnp.ones((1, len(FEATURES)), jnp.float32),
        canvas_size=canvas_size,
    )


def apply(model: nn.Module, variables: Variables, batch: Batch) -> jax.Array:
    """Outputs [B, T] of `model`: without dropout, batch norm by its running averages."""
    outputs = model.apply(variables, batch)
    assert isinstance(outputs, jax.Array)
    return outputs


def apply_training(
    model: nn.Module, variables: Variables, batch: Batch, key: jax.Array
) -> tuple[jax.Array, dict[str, Any]]:
    """Outputs [B, T] of `model` as in training, and its collections beside 'params', updated.

    The same on any number of devices, and whatever fills the batch up (`Batch.row_mask`).

    Args:
      model: the architecture.
      variables: its weights and running averages.
      batch: B structures, or this device's share of them.
      key: of dropout, the same on every device.
    """
    others = [name for name in variables if name != "params"]
    outputs, updated = model.apply(
        variables, batch, train=True, rngs={"dropout": key}, mutable=others
    )
    return outputs, dict(updated)


def from_torch(name: str, state_dict: Mapping[str, Any], **overrides: Any) -> dict[str, Any]:
    """The variables of `create(name, **overrides)` from the weights of its PyTorch reference.

    Args:
      name: of an architecture.
      state_dict: NumPy arrays or PyTorch tensors by name; torch itself is not needed. A first
        component that all names share, like 'module.', is taken off.
      **overrides: the hyper-parameters that the weights are of.

    Raises:
      InputError: the architecture has no reference, or the weights do not fit it: the message lists
        what is missing, unexpected or of another shape.
    """
    model, module = create(name, **overrides), _module(name)
    if not hasattr(module, "TORCH"):
        raise InputError(f"{name} has no PyTorch reference to take weights from")
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), sample()))
    constants = module.torch_constants(model) if hasattr(module, "torch_constants") else {}
    return _torch.convert(name, shapes, module.TORCH, constants, state_dict)


_FLAX_FIELDS = ("parent", "name")


def _module(name: str) -> types.ModuleType:
    choose("model", name, available())
    return importlib.import_module(f"{__name__}.{name}")


def _fields(model: Any) -> dict[str, dataclasses.Field]:
    return {
        field.name: field for field in dataclasses.fields(model) if field.name not in _FLAX_FIELDS
    }


def _value(what: str, field: dataclasses.Field, value: Any) -> Any:
    """The value of a hyper-parameter, checked; `what` names it."""
    kind: Any = field.type
    if typing.get_origin(kind) is typing.Literal:
        choose(what, value, typing.get_args(kind))
        return value
    if kind is float and type(value) is int:
        value = float(value)
    many = typing.get_origin(kind) is tuple
    parts = list(value) if many and isinstance(value, list | tuple) else [value]  # JSON has lists
    expected = typing.get_args(kind)[0] if many else kind
    if any(type(part) is not expected for part in parts) or (many and parts == [value]):
        shown = f"a tuple of {expected.__name__}" if many else expected.__name__
        raise InputError(f"{what}: expected {shown} like {field.default!r}, got {value!r}")
    if field.name == "channels":
        _check_channels(what, parts)
    elif expected is int:
        # Zero is for what may be left out, as the default then says.
        default: Any = field.default
        least = min([1, *default] if many else [1, default])
        if not parts or min(parts) < least:
            raise InputError(f"{what}: expected at least {least}, got {value}")
    elif expected is float:
        _check_float(what, field.name, value)
    return tuple(parts) if many else value


def _check_channels(what: str, channels: list[int]) -> None:
    known = range(len(CHANNELS))
    if not channels or not set(channels) <= set(known) or len(set(channels)) < len(channels):
        raise InputError(
            f"{what}: expected some of the canvas channels 0 to {known[-1]}, each once, "
            f"got {tuple(channels)}"
        )


def _check_float(what: str, key: str, value: float) -> None:
    if key.endswith("dropout"):
        asked, right = "from 0 to below 1", 0 <= value < 1
    elif key.endswith("cutoff"):
        asked, right = "above 0", 0 < value < math.inf
    else:
        asked, right = "at least 0", 0 <= value < math.inf
    if not right:
        raise InputError(f"{what}: expected {asked}, got {value}")
