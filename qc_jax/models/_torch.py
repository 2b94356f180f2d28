"""From the weights of a PyTorch reference to Flax variables, and back.

A model file names its reference's weights in `TORCH`, by the path of a Flax module or of one array:

    TORCH = {
        "elements": "embedding",
        "layer_{i}/edge_0": "interactions.{i}.mlp.0",
        "layer_{i}/query/kernel": Tensor("layers.{i}.attn.in_proj_weight", lambda w: w[:H].T),
    }

`{i}` stands for the same whole number on both sides. A module's arrays are converted by what they
are called: `kernel` of a Dense or convolution, `embedding`, `scale`, `bias`, `mean` and `var` of a
norm. Names in a tuple are one tensor that the reference stores several times.

`Architecture.torch_constants()` gives by name what the reference stores and the model computes from
its hyper-parameters: a checkpoint must hold those numbers.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from qc_jax.errors import InputError


class Tensor(NamedTuple):
    """One array of the model.

    Attributes:
      name: of the tensor that it comes from.
      convert: makes it of that.
      back: makes that of it and of the model; None where `convert` is its own inverse.
    """

    name: str
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray
    back: Callable[[np.ndarray, Any], np.ndarray] | None = None


Names = Mapping[str, str | tuple[str, ...] | Tensor]

# PyTorch counts batches in its batch norms, for a mode of theirs that nobody here uses.
_MEANINGLESS = "num_batches_tracked"
_LEAVES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"} | {
    "mean": "running_mean",
    "var": "running_var",
}


def convert(
    what: str, shapes: Any, names: Names, constants: Mapping[str, Any], state_dict: Mapping
) -> dict[str, Any]:
    """Return variables of the shapes and types of `shapes`, with the numbers of `state_dict`.

    Raises:
      InputError: tensors are missing, left over, of another shape, not finite, or differ where they
        must be the same; the message lists them all.
    """
    tensors = _without_prefix(_as_numpy(state_dict), names)
    used: set[str] = set()
    missing, wrong = [], []

    def take(name: str) -> np.ndarray | None:
        used.add(name)
        if name not in tensors:
            missing.append(name)
        return tensors.get(name)

    leaves = {}
    for path, leaf in flatten_dict(shapes, sep="/").items():
        first, *copies = _sources(path.partition("/")[2], names)
        tensor = take(first.name)
        if tensor is None:
            continue
        for copy in copies:
            other = take(copy.name)
            if other is not None and not np.array_equal(other, tensor):
                wrong.append(f"{copy.name} is not equal to {first.name}")
        try:
            value = first.convert(tensor)
        except (ValueError, IndexError):
            value = tensor  # of a shape that says it
        if value.shape != leaf.shape:
            wrong.append(
                f"{first.name} has shape {tensor.shape}, which gives {value.shape} for {path}, "
                f"expected {leaf.shape}"
            )
        elif not np.isfinite(value).all():
            wrong.append(f"{first.name} is not finite")
        leaves[path] = jnp.asarray(value, leaf.dtype)
    for name, expected in constants.items():
        tensor = take(name)
        if tensor is not None and (
            tensor.shape != np.shape(expected) or not np.allclose(tensor, expected, rtol=1e-5)
        ):
            wrong.append(f"{name} holds other numbers than these hyper-parameters give")

    unexpected = [
        name for name in tensors if name not in used and name.split(".")[-1] != _MEANINGLESS
    ]
    problems = [
        *([f"missing: {', '.join(dict.fromkeys(missing))}"] if missing else []),
        *([f"unexpected: {', '.join(unexpected)}"] if unexpected else []),
        *wrong,
    ]
    if problems:
        raise InputError(f"these weights are not of {what}: {'; '.join(problems)}")
    return unflatten_dict(leaves, sep="/")


def convert_back(model: Any, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return what `convert` makes a model's variables of: arrays by the names of its reference."""
    found: dict[str, np.ndarray] = {}
    for path, leaf in flatten_dict(variables, sep="/").items():
        for source in _sources(path.partition("/")[2], model.torch_names):
            value = np.asarray(leaf)
            value = source.convert(value) if source.back is None else source.back(value, model)
            found[source.name] = np.ascontiguousarray(value)
            module, _, leaf_name = source.name.rpartition(".")
            if leaf_name == "running_mean":
                found[f"{module}.{_MEANINGLESS}"] = np.zeros((), np.int64)
    constants = model.torch_constants()
    return found | {name: np.asarray(value) for name, value in constants.items()}


def rename(state_dict: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """Return the tensors with the modules called as `torch_names` does, whatever the prefix.

    A name stays where the other is there already, for `convert` to say what is too much.
    """
    found = {str(name): value for name, value in state_dict.items()}
    for name in list(found):
        for theirs, ours in aliases.items():
            new = re.sub(rf"(^|\.){re.escape(theirs)}\.", rf"\g<1>{ours}.", name)
            if new not in found:
                found[new] = found.pop(name)
                break
    return found


def below(
    ours: str, theirs: str, names: Mapping[str, Any]
) -> dict[str, str | tuple[str, ...] | Tensor]:
    """Return the names of a part that a model has at the path `ours`, its reference at `theirs`."""

    def prefixed(value: str | tuple[str, ...] | Tensor) -> str | tuple[str, ...] | Tensor:
        if isinstance(value, Tensor):
            return value._replace(name=theirs + value.name)
        return theirs + value if isinstance(value, str) else tuple(theirs + name for name in value)

    return {ours + path: prefixed(value) for path, value in names.items()}


def _as_numpy(state_dict: Mapping) -> dict[str, np.ndarray]:
    """Return the tensors as NumPy arrays, without importing torch."""
    arrays = {}
    for name, value in state_dict.items():
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            # Wide enough for every type, of which NumPy does not know bfloat16.
            value = (value.double() if value.is_floating_point() else value).numpy()
        if not isinstance(value, np.ndarray | jax.Array | np.generic):
            raise InputError(
                f"expected a state dict of arrays, got {type(value).__name__} for {name!r}"
            )
        arrays[str(name)] = np.asarray(value)
    return arrays


def _without_prefix(tensors: dict[str, np.ndarray], names: Names) -> dict[str, np.ndarray]:
    """Return the tensors without the first components that all share and the mapping does not know.

    Wrappers' attributes, or the 'module' of a parallel training, stand there.
    """
    known = {source.name.split(".")[0] for value in names.values() for source in _listed(value)}
    while all("." in name for name in tensors):
        first = {name.partition(".")[0] for name in tensors}
        if len(first) != 1 or first <= known:
            break
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    return tensors


def _listed(value: str | tuple[str, ...] | Tensor) -> tuple[Tensor, ...]:
    if isinstance(value, Tensor):
        return (value,)
    return tuple(map(Tensor, (value,) if isinstance(value, str) else value))


def _sources(path: str, names: Names) -> tuple[Tensor, ...]:
    """Return the tensors that the array at `path` comes from: one, or equal ones."""
    module, _, leaf = path.rpartition("/")
    for pattern, value in names.items():
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>\\d+)", pattern)
        if found := re.fullmatch(expression, path):
            return tuple(
                source._replace(name=source.name.format(**found.groupdict()))
                for source in _listed(value)
            )
        if found := re.fullmatch(expression, module):
            return tuple(
                Tensor(
                    f"{source.name.format(**found.groupdict())}.{_LEAVES[leaf]}",
                    *((_kernel, _weight) if leaf == "kernel" else ()),
                )
                for source in _listed(value)
            )
    raise AssertionError(f"TORCH does not name {path}")


def _kernel(weight: np.ndarray) -> np.ndarray:
    """Return PyTorch's [out, in, …] as Flax's […, in, out]."""
    return np.moveaxis(weight, (0, 1), (-1, -2))


def _weight(kernel: np.ndarray, _: Any) -> np.ndarray:
    """Return Flax's […, in, out] as PyTorch's [out, in, …]."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))
