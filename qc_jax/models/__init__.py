"""Architectures: `create("egnn", hidden=64)`.

A file `NAME.py` here is one architecture. The first paragraph of its docstring is "Title: its
source", with its arXiv number, DOI or OpenReview page in it, and it defines `Model`, a subclass of
`Architecture`, which tells the contract. Files whose name starts with an underscore hold what
architectures share. A model of a user's own is any subclass of `Architecture`, made known by
`register`, by an entry point of the group `qc_jax.models`, or called 'my_module:Model'.
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.canvas import images
from qc_jax.data.batch import Batch
from qc_jax.data.targets import TARGETS, leaking_inputs
from qc_jax.errors import InputError
from qc_jax.models import _torch
from qc_jax.models._base import Architecture, build, field, hyper_parameters
from qc_jax.models._check import check
from qc_jax.models._layers import noisy_embeddings
from qc_jax.models._pair import pair
from qc_jax.models._registry import GROUP, available, origin, register, registered, resolve
from qc_jax.models._start import as_torch

__all__ = [
    "GROUP",
    "Architecture",
    "Description",
    "Variables",
    "apply",
    "apply_training",
    "as_torch",
    "available",
    "check",
    "create",
    "defaults",
    "describe",
    "field",
    "from_torch",
    "hyper_parameters",
    "origin",
    "pair",
    "register",
    "registered",
    "resolve",
    "sample",
    "to_torch",
]

Variables = Mapping[str, Any]  # 'params' and the other collections, nested dicts of arrays


def create(name: str, **overrides: Any) -> Architecture:
    """Return the architecture called `name`, its hyper-parameters replaced by `overrides`.

    Raises:
      InputError: unknown name or hyper-parameter, or a value of another type than the default's or
        out of range; the message lists the choices.

    Example:
      >>> create("egnn", hidden=64).hidden
      64
    """
    return build(name, resolve(name), overrides)


def defaults(name: str) -> dict[str, Any]:
    """Return the hyper-parameters of `name` with their defaults, `outputs` left out.

    Raises:
      InputError: unknown name.
    """
    fields = hyper_parameters(resolve(name))
    return {key: each.default for key, each in fields.items() if key != "outputs"}


@dataclasses.dataclass(frozen=True)
class Description:
    """What an architecture is.

    Attributes:
      name: what `create` calls it.
      title: what the literature calls it.
      paper: its source, with the arXiv number or DOI.
      inputs: what it reads, by default, in the words of `qc_jax.data.targets.INPUTS`.
      parameters: how many numbers are trained, by default and with one output.
      leaked_targets: the targets that its inputs leak; a score on them says nothing.
      options: the hyper-parameters that `create` takes, with their defaults.
    """

    name: str
    title: str
    paper: str
    inputs: tuple[str, ...]
    parameters: int
    leaked_targets: tuple[str, ...]
    options: Mapping[str, Any]


def describe(name: str) -> Description:
    """Return what the architecture called `name` is, with its default hyper-parameters.

    Raises:
      InputError: unknown name.

    Example:
      >>> describe("egnn").leaked_targets
      ('repulsive_energy_ev', 'distance_ang')
    """
    model = create(name)
    own = type(model).__module__.startswith(f"{__name__}.")
    text = (sys.modules[type(model).__module__] if own else type(model)).__doc__ or name
    title, _, paper = " ".join(text.partition("\n\n")[0].split()).partition(": ")
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), sample()))
    inputs = tuple(model.inputs)
    return Description(
        name=name,
        title=title,
        paper=paper.removesuffix("."),
        inputs=inputs,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])),
        leaked_targets=tuple(key for key in TARGETS if leaking_inputs(key, inputs)),
        options=defaults(name),
    )


def sample(canvas_size: int = 32, kind: str = images.CANVAS) -> Batch:
    """Return one pair with an image (`Batch.images`), to learn the shapes of a model from."""
    return Batch(
        atomic_numbers=jnp.array([[1, 8]], jnp.int32),
        positions=jnp.array([[[0, 0, 0], [0, 0, 1]]], jnp.float32),
        neighbors=jnp.array([[[1], [0]]], jnp.int32),
        canvas_features=jnp.asarray(images.parse(kind).sample()),
        canvas_size=canvas_size,
        images=kind,
    )


def apply(model: Architecture, variables: Variables, batch: Batch) -> Float[Array, "batch outputs"]:
    """Return the outputs of `model`: without dropout, batch norm by its running averages.

    They are means over the symmetries of the images where the batch asks for that.
    """
    if batch.average_symmetries:
        if "canvas" not in model.inputs:
            raise InputError("average_symmetries: expected a model that reads images")
        one = batch.replace(average_symmetries=False)
        each = jax.lax.map(
            lambda turns: model.apply(variables, one.replace(turns=turns)),
            images.symmetries_of(batch),
        )
        return jnp.mean(each, axis=0)
    outputs = model.apply(variables, batch)
    assert isinstance(outputs, jax.Array)
    return outputs


def apply_training(
    model: Architecture,
    variables: Variables,
    batch: Batch,
    key: jax.Array,
    embedding_noise: float = 0.0,
) -> tuple[Float[Array, "batch outputs"], dict[str, Any]]:
    """Return the outputs of `model` as in training, and its collections beside 'params', updated.

    The same on any number of devices, and whatever fills the batch up (`Batch.row_mask`).

    Args:
      model: the architecture.
      variables: its weights and running averages.
      batch: B structures, or this device's share of them.
      key: of dropout and noise, the same on every device.
      embedding_noise: standard deviation of what is added to the atoms' element embeddings.

    Raises:
      InputError: noise is asked for, and the model has no layer `elements`.
    """
    others = [name for name in variables if name != "params"]
    with noisy_embeddings(key, batch, embedding_noise) as noisy:
        outputs, updated = model.apply(
            variables, batch, train=True, rngs={"dropout": key}, mutable=others
        )
    if embedding_noise and not noisy:
        raise InputError(
            "embedding_noise: expected a model whose layer 'elements' embeds the atoms, got none"
        )
    return outputs, dict(updated)


def from_torch(
    name: str, state_dict: Mapping[str, Any], like: Batch | None = None, **overrides: Any
) -> dict[str, Any]:
    """Return the variables of `create(name, **overrides)` with its PyTorch reference's weights.

    Args:
      name: of an architecture.
      state_dict: NumPy arrays or PyTorch tensors by name; torch itself is not needed. A first
        component that all names share, like 'module.', is taken off.
      like: a structure with an image like those that the weights were trained on; `sample()`
        where None.
      **overrides: the hyper-parameters that the weights are of.

    Raises:
      InputError: the architecture has no reference, or the weights do not fit it: the message lists
        what is missing, unexpected or of another shape.
    """
    model = create(name, **overrides)
    names = model.torch_names
    if not names:
        raise InputError(f"{name} has no PyTorch reference to take weights from")
    example = sample() if like is None else like
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), example))
    weights = _torch.rename(state_dict, model.torch_aliases)
    return _torch.convert(name, shapes, names, model.torch_constants(), weights)


def to_torch(model: Architecture, variables: Variables) -> dict[str, np.ndarray]:
    """Return weights by the names and shapes of the model's PyTorch reference.

    What `from_torch` takes: `load_state_dict({key: torch.from_numpy(value) …})` takes it, too.

    Args:
      model: an architecture.
      variables: its weights, like `SavedRun.variables`.

    Raises:
      InputError: the architecture has no reference.
    """
    if not model.torch_names:
        known = [name for name in available() if create(name).torch_names]
        raise InputError(f"expected a model with a PyTorch reference: {', '.join(known)}")
    return _torch.convert_back(model, jax.device_get(variables))
