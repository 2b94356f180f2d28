"""Transfer: the weights of one training as the start of another, matched by name and shape."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from qc_jax.errors import choose

HEAD = "head"  # layers that make outputs of features (`Architecture.head_layers`)
EMBEDDING = "embedding"  # tables with a row an element


class Matched(NamedTuple):
    """What a training takes over.

    Attributes:
      initial: a part of its variables, for `Training.initial`.
      taken: the names of those, like 'params/elements/embedding'.
      left: of every variable of either side that is not taken over, the reason by name.
    """

    initial: Mapping[str, Any]
    taken: tuple[str, ...]
    left: dict[str, str]


def kind(name: str, head_layers: Sequence[str]) -> str:
    """Return `HEAD`, `EMBEDDING` or '', by the name of a variable like 'params/out_1/kernel'."""
    parts = name.split("/")
    if any(fnmatch.fnmatch(parts[1], pattern) for pattern in head_layers):
        return HEAD
    return EMBEDDING if parts[-1] == "embedding" else ""


def match(
    given: Mapping[str, Any],
    variables: Mapping[str, Any],
    head_layers: Sequence[str],
    head: str = "new",
    embeddings: str = "kept",
) -> Matched:
    """Return those of the given variables that a model can start from.

    Args:
      given: variables of a training, 'params' and other collections, nested dicts of arrays.
      variables: of the model that is to be trained; shapes are enough.
      head_layers: patterns of their names in the model (`Architecture.head_layers`).
      head: 'kept', or 'new': as its seed gives it.
      embeddings: likewise.
    """
    asked = {HEAD: head, EMBEDDING: embeddings}
    for name, how in asked.items():
        choose(f"way of the {name}", how, ("kept", "new"))
    there = flatten_dict(given, sep="/")
    here = flatten_dict(jax.tree.map(lambda leaf: leaf, dict(variables)), sep="/")
    taken, left = {}, {}
    for name in sorted(there.keys() | here.keys()):
        if name not in here:
            left[name] = "the model has none"
        elif name not in there:
            left[name] = "new: there is none to take over"
        elif np.shape(there[name]) != here[name].shape:
            left[name] = f"new: of shape {here[name].shape}, {np.shape(there[name])} there"
        elif name.partition("/")[0] not in ("params", "batch_stats"):
            left[name] = "new: the training rows tell it"
        elif asked.get(part := kind(name, head_layers)) == "new":
            left[name] = f"new, as the {part} is asked to be"
        else:
            taken[name] = np.asarray(there[name])
    return Matched(unflatten_dict(taken, sep="/"), tuple(taken), left)
