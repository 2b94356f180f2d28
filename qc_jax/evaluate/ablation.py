"""What a model's error becomes where a part of its input is put out of order, on rows it is given.

`errors` does it for any change; `ELEMENTS` are the changes of the atomic numbers. Those of canvas
channels stand in `qc_jax.evaluate.importance`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch
from qc_jax.data.targets import target
from qc_jax.errors import InputError
from qc_jax.evaluate import metrics
from qc_jax.models import Architecture

Predict = Callable[[Batch], np.ndarray]  # N structures → [N, T] in the targets' units

MASKED = 0  # what stands for an atom that is not there, in every table of elements
CONSTANT = 6
LAST_RANDOM = 103  # as published


class Change(NamedTuple):
    """A part of the input put out of order.

    Attributes:
      apply: (structures, generator) → structures.
      random: whether it draws from the generator; what does not is done once.
    """

    apply: Callable[[Batch, np.random.Generator], Batch]
    random: bool = True


class Errors(NamedTuple):
    """Mean absolute errors under one change.

    Attributes:
      mae: [R, T] of each repeat, in the targets' units; NaN where a prediction is not finite.
      not_finite: predictions that are not, over repeats and targets.
    """

    mae: np.ndarray
    not_finite: int


def errors(
    predict: Predict,
    structures: Batch,
    labels: np.ndarray,
    changes: Mapping[str, Change],
    repeats: int,
    seed: int = 0,
    targets: Sequence[str] = (),
) -> dict[str, Errors]:
    """The errors on N rows under each of the changes.

    Args:
      predict: the model.
      structures: N rows; the test rows, or what comes out is no error of a test.
      labels: [N, T] in the targets' units; a NaN is no label, and counts for nothing.
      changes: by name.
      repeats: of those that are random.
      seed: repeat r of a change draws the same numbers whichever model and whatever other change is
        asked for.
      targets: the names of the T, where some are classes: of these the share that is wrong.
    """
    classes = np.array([target(name).is_class for name in targets] or [False] * labels.shape[1])
    found = {}
    for name, change in changes.items():
        maes, wrong = [], 0
        for repeat in range(repeats if change.random else 1):
            generator = np.random.default_rng([seed, repeat])
            predicted = predict(change.apply(structures, generator)).astype(np.float64)
            off = np.where(classes, metrics.decide(predicted) != labels, np.abs(predicted - labels))
            maes.append(off.mean(axis=0, where=np.isfinite(labels)))
            wrong += int((~np.isfinite(predicted)).sum())
        found[name] = Errors(np.array(maes), wrong)
    return found


def unchanged(structures: Batch, generator: np.random.Generator) -> Batch:
    """The structures as they are."""
    del generator
    return structures


def random_elements(model: Architecture) -> np.ndarray:
    """Return the elements that 'random' draws from for a model, in order.

    Up to 103, or the last of the model's own tables, those that it can take.
    """
    last = min(LAST_RANDOM, model.max_atomic_number or LAST_RANDOM)
    elements = np.arange(1, last + 1)
    known = model.known_elements
    return elements if known is None else elements[np.isin(elements, list(known))]


def of_elements(model: Architecture) -> dict[str, Change]:
    """The changes of atomic numbers that a model is asked to bear; positions and canvas stay.

    * normal: none.
    * shuffle: each structure has the elements of another one of the rows.
    * swap: the atoms of a structure exchange their elements; nothing changes where they are equal.
    * mask: every element is 0, which stands for an atom that is not there. Tables of elements have
      a row for it, which no training has seen; sums over atoms are empty.
    * random: each element is drawn from `random_elements`; a table has no row for later ones, and
      of those that it has most were never trained.
    * constant: every element is carbon.

    Args:
      model: that will be asked.

    Raises:
      InputError: it reads no elements.
    """
    if "atomic_numbers" not in model.inputs:
        raise InputError("reads no elements: there is nothing to take away from it")
    drawn = random_elements(model)

    def with_numbers(make: Callable[[np.ndarray, np.random.Generator], np.ndarray]):
        def apply(structures: Batch, generator: np.random.Generator) -> Batch:
            numbers = np.asarray(structures.atomic_numbers)
            made = np.where(numbers > 0, make(numbers, generator), 0)  # padding stays padding
            return structures.replace(atomic_numbers=jnp.asarray(made, jnp.int32))

        return apply

    return {
        "normal": Change(unchanged, random=False),
        "shuffle": Change(with_numbers(lambda z, rng: z[rng.permutation(len(z))])),
        "swap": Change(with_numbers(lambda z, rng: z[:, ::-1]), random=False),
        "mask": Change(with_numbers(lambda z, rng: np.full_like(z, MASKED)), random=False),
        "random": Change(
            with_numbers(lambda z, rng: drawn[rng.integers(len(drawn), size=z.shape)])
        ),
        "constant": Change(with_numbers(lambda z, rng: np.full_like(z, CONSTANT)), random=False),
    }
