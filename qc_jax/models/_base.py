"""The contract of an architecture, which every model of this package and of a user's own keeps."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

from qc_jax.canvas import CHANNELS
from qc_jax.data.batch import Batch
from qc_jax.data.scaling import Scaler
from qc_jax.errors import InputError, choose

_RANGE = "qc_jax_range"  # in a field's metadata
_OTHER_FIELDS = ("parent", "name", "targets")  # Flax's, and what `for_targets` gives


@dataclasses.dataclass(frozen=True)
class Range:
    """Values that a hyper-parameter may have; of a tuple, each of its values."""

    at_least: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    at_most: float = math.inf

    def __contains__(self, value: float) -> bool:
        """Return whether a number lies inside; NaN and the infinities never do."""
        bounded = self.at_least <= value <= self.at_most and self.above < value < self.below
        return bounded and -math.inf < value < math.inf

    def __str__(self) -> str:
        words = []
        if self.at_least > -math.inf:
            words.append(f"at least {self.at_least}")
        if self.above > -math.inf:
            words.append(f"above {self.above}")
        if self.below < math.inf:
            words.append(f"below {self.below}")
        if self.at_most < math.inf:
            words.append(f"at most {self.at_most}")
        return " and ".join(words) or "a finite number"


def field(default: Any, *, allowed: frozenset[int] | None = None, **bounds: float) -> Any:
    """Return a hyper-parameter's default with the values it may have.

    Without it a number may be anything finite from 1 (int) or 0 (float) up, or from its default
    where that is smaller.

    Args:
      default: its type is the only one that is taken.
      allowed: the items of a tuple, each at most once.
      **bounds: of `Range`: at_least, above, below, at_most.

    Example:
      >>> class Model(Architecture):
      ...     outputs: int = 1
      ...     gaussians: int = field(50, at_least=2)
    """
    limits = allowed if allowed is not None else Range(**bounds)
    return dataclasses.field(default=default, metadata={_RANGE: limits})


def channels(*default: int) -> Any:
    """Return canvas channels that a model reads, each at most once."""
    return field(default, allowed=frozenset(range(len(CHANNELS))))


class Architecture(nn.Module):
    """A model: a Flax module from a batch of B structures to its outputs [B, T].

    Its dataclass fields are its hyper-parameters: int, float, bool, `Literal["some", "words"]` or
    `tuple[int, ...]`, each with a default, and with the values it may have where `field` gives
    them. `outputs: int = 1` is how many targets T it has. What follows are the other parts of the
    contract, each with the value that it has unless a subclass says otherwise; a subclass may make
    a class variable a field (`max_atomic_number: int = 99`) or a property.
    A layer called `elements` that embeds the batch's atomic numbers is what `embedding_noise` acts
    on. `qc_jax.testing.check_architecture` tests that a model keeps the contract.

    Example:
      >>> class Bonds(Architecture):
      ...     outputs: int = 1
      ...     as_pairs = True
      ...
      ...     @nn.compact
      ...     def __call__(self, batch, train=False):
      ...         numbers, distance = pair(batch)  # [B, 2], [B, 1] Å
      ...         return nn.Dense(self.outputs)(distance)
    """

    closed_form: ClassVar[bool] = False  # solved at once by `solve`, not trained by steps
    # Whether it takes every structure of a batch two atoms wide for a pair: `check` then refuses an
    # atom alone among them.
    as_pairs: ClassVar[bool] = False
    # Why outputs are no smooth function of positions, in words: nothing can then move on them.
    not_smooth_reason: ClassVar[str] = ""
    # Hyper-parameters of the published network that are not the defaults.
    published: ClassVar[Mapping[str, Any]] = {}
    # The names of its PyTorch reference's weights (`_torch.py`); {} without one.
    torch_names: ClassVar[Mapping[str, Any]] = {}
    # Other names of modules in published weights → the names of `torch_names`.
    torch_aliases: ClassVar[Mapping[str, str]] = {}
    # Layers, by patterns of their paths, that the reference starts by Glorot's rule; the others
    # whose start is left open it starts as PyTorch does (`TrainConfig.init`).
    glorot_layers: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return what it reads, of `data.targets.INPUTS`: atomic_numbers, positions, canvas."""
        return ("atomic_numbers", "positions")

    @property
    def max_atomic_number(self) -> int | None:
        """Return the last element of its tables; None where it has none."""
        return None

    @property
    def known_elements(self) -> frozenset[int] | None:
        """Return the atomic numbers in its tables; None where it has all up to the last one."""
        return None

    @property
    def cutoff(self) -> float | None:
        """Return the distance (Å) beyond which atoms do not see each other; None for none."""
        return None

    @property
    def dropout(self) -> float | None:
        """Return the dropout rate, which a sweep may vary; None where there is no dropout."""
        return None

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Return the layers that make outputs of features, by patterns; a transfer may renew them.

        Of the layers of the model itself, not of their parts.
        """
        return ("out", "out_*", "output_*")

    @property
    def smooth(self) -> bool:
        """Whether outputs are a smooth function of positions, so that forces exist."""
        return not self.not_smooth_reason

    @property
    def no_forces_reason(self) -> str:
        """Say why outputs have no forces, in words after the model's name; '' where they have."""
        if "positions" not in self.inputs:
            return "reads no positions, so it has no forces"
        others = sorted(set(self.inputs) - {"atomic_numbers", "positions"})
        if others:
            return (
                f"reads the {', '.join(others)} too, which is not known where atoms move; "
                "expected a model of elements and positions alone"
            )
        rough = self.not_smooth_reason
        return f"is no smooth function of positions: {rough}" if rough else ""

    def check(self) -> None:
        """Raise InputError where hyper-parameters do not go together."""

    def check_data(self, provenance: Mapping[str, Any]) -> None:
        """Warn where data that were made like this (`PairTable.provenance`) do not fit."""

    def for_targets(self, names: tuple[str, ...]) -> "Architecture":
        """Return the model of these targets: one that computes them by name overrides this."""
        return self.clone(outputs=len(names))

    def start(
        self, structures: Batch, labels: Float[np.ndarray, "rows outputs"], scaler: Scaler
    ) -> dict[str, Any]:
        """Return variables to start from that the training rows tell: none, {}, of most models.

        Args:
          structures: the training rows.
          labels: theirs, in natural units; NaN where one is missing.
          scaler: of the labels.

        Returns:
          A part of the model's variables; other collections than 'params' stay as they are.
        """
        del structures, labels, scaler
        return {}

    def calibrate(
        self,
        variables: Mapping[str, Any],
        structures: Batch,
        labels: Float[np.ndarray, "rows outputs"],
        scaler: Scaler,
    ) -> dict[str, Any]:
        """Return collections that the training rows tell once the weights to start from are there.

        What `start` gives and weights that are taken over are in `variables`.

        Args:
          variables: before the first epoch.
          structures: the training rows, in memory.
          labels: theirs, in natural units; NaN where one is missing.
          scaler: of the labels.

        Returns:
          Collections other than 'params', whole; none, {}, of most models.
        """
        del variables, structures, labels, scaler
        return {}

    def solve(self, structures: Batch, labels: Float[np.ndarray, "rows outputs"]) -> dict[str, Any]:
        """Return the variables of a closed form, from training rows and their scaled labels."""
        raise NotImplementedError(f"{type(self).__name__} is trained by steps")

    def torch_constants(self) -> Mapping[str, Any]:
        """Return what the reference stores and the model computes, by name."""
        return {}

    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        raise NotImplementedError


def hyper_parameters(model: type[Architecture] | Architecture) -> dict[str, dataclasses.Field]:
    """Return the fields of a model that are hyper-parameters, by name."""
    fields = dataclasses.fields(model)
    return {each.name: each for each in fields if each.name not in _OTHER_FIELDS}


def build(name: str, model: type[Architecture], overrides: Mapping[str, Any]) -> Architecture:
    """Return an instance of `model`, its hyper-parameters checked and replaced by `overrides`.

    Raises:
      InputError: unknown hyper-parameter, or a value of another type than the default's or out of
        range, or values that do not go together; the message names it.
    """
    fields = hyper_parameters(model)
    values = {}
    for key, value in overrides.items():
        choose(f"hyper-parameter of {name}", key, fields)
        values[key] = _checked(f"hyper-parameter {key} of {name}", fields[key], value)
    made = model(**values)
    made.check()
    return made


def _checked(what: str, field: dataclasses.Field, value: Any) -> Any:
    """Return the value of a hyper-parameter in its own type; `what` names it."""
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
    limits = field.metadata.get(_RANGE)
    if isinstance(limits, frozenset):
        if not parts or not set(parts) <= limits or len(set(parts)) < len(parts):
            raise InputError(
                f"{what}: expected some of {min(limits)} to {max(limits)}, each once, "
                f"got {tuple(parts)}"
            )
    elif expected in (int, float):
        if limits is None:
            default: Any = field.default
            usual = 1 if expected is int else 0
            limits = Range(at_least=min([usual, *default] if many else [usual, default]))
        if not parts or not all(part in limits for part in parts):
            raise InputError(f"{what}: expected {limits}, got {value}")
    return tuple(parts) if many else value
