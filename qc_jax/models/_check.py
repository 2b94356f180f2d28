"""Whether a model can take structures: asked on the host, once, before training or predicting."""

from collections.abc import Callable

import jax
import numpy as np

from qc_jax.canvas.images import CANVAS
from qc_jax.chem.elements import element
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models._base import Architecture


def check(model: Architecture, structures: Batch, names: np.ndarray | None = None) -> None:
    """Raise InputError unless `model` can take every one of the N `structures`.

    What it reads must be there and finite, each atom in its tables, and both atoms of what it takes
    for pairs there. Not for use inside jit.

    Args:
      model: with its `inputs` and `as_pairs`, and its `max_atomic_number` and `known_elements`
        where it has tables of elements.
      structures: N of them.
      names: [N], to tell structures by; their row where there are none.
    """
    inputs = model.inputs
    numbers = np.asarray(structures.atomic_numbers)
    if model.as_pairs and numbers.shape[1] == 2:
        count = (numbers > 0).sum(axis=1)
        # Without any, elements were taken away on purpose (`evaluate.ablation`).
        _require(count != 1, "two atoms in a batch of pairs", count, names, str)
    largest = model.max_atomic_number
    if "atomic_numbers" in inputs and largest is not None:
        above = numbers.max(axis=1, initial=0)
        what = f"atomic numbers up to {largest}"
        _require(above <= largest, what, above, names, _with_symbol)
    known = model.known_elements
    if "atomic_numbers" in inputs and known is not None:
        unknown = np.where(np.isin(numbers, [0, *known]), 0, numbers).max(axis=1, initial=0)
        what = "elements that have valence electrons in the model's tables"
        _require(unknown == 0, what, unknown, names, _with_symbol)
    if "positions" in inputs:
        finite = np.isfinite(jax.device_get(structures.positions)).all(axis=-1)
        count = (~finite & (numbers > 0)).sum(axis=1)
        _require(count == 0, "finite positions", count, names, "{} atoms without".format)
    if "canvas" in inputs:
        if structures.canvas_features is None:
            what = "canvas" if structures.images == CANVAS else f"images ({structures.images})"
            raise InputError(f"the model reads the {what}, and these structures have none")
        count = (~np.isfinite(jax.device_get(structures.canvas_features))).sum(axis=1)
        what = "{} features that are not"
        _require(count == 0, "finite canvas features", count, names, what.format)


def _require(
    good: np.ndarray,
    expected: str,
    got: np.ndarray,
    names: np.ndarray | None,
    say: Callable[[int], str],
) -> None:
    if good.all():
        return
    row = int(np.argmin(good))
    which = f"row {row}" if names is None else str(names[row])
    others = f" ({int((~good).sum()) - 1} more like it)" if (~good).sum() > 1 else ""
    raise InputError(f"{which}: expected {expected}, got {say(int(got[row]))}{others}")


def _with_symbol(number: int) -> str:
    """Return an atomic number and, where it is known, whose."""
    try:
        return f"{number} ({element(number).symbol})"
    except InputError:
        return str(number)
