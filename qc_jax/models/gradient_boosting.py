"""Gradient boosting: J. H. Friedman, Ann. Stat. 29, 1189, 2001 (doi 10.1214/aos/1013203451).

Grown by scikit-learn, the extra `[boosting]`, on facts about the two elements and their distance.
The trees are then arrays, so that what runs, is saved and predicts is a model like the others.

Where more than a quarter of the training labels are one number, as gaps of 0 are, there are two
forests: a classifier tells which pairs have that number, the regressor learns the others' labels.
Absolute errors alone grow no trees on such labels; squared errors are off by most gaps.
"""

from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models._base import Architecture
from qc_jax.models._pair import pair


def _facts() -> np.ndarray:
    """Facts about each element by atomic number, about 0 to 1: float32 [Z, 6].

    Atomic number, period, group (0 where there is none), electronegativity on Pauling's scale (0
    where there is none), covalent radius, metal.
    """
    rows = [[0.0] * 6]
    for z in range(1, MAX_ATOMIC_NUMBER + 1):
        e = element(z)
        electronegativity = (e.electronegativity or 0) / 4
        radius = e.covalent_radius_ang / 2.5
        rows.append(
            [z / 100, e.period / 7, (e.group or 0) / 18, electronegativity, radius, float(e.metal)]
        )
    return np.array(rows, np.float32)


_FACTS = _facts()
_REPEATED = 0.25  # the share of labels that may be one number


def features(batch: Batch) -> Float[Array, "batch features"]:
    """Return what the trees ask about.

    Facts of both elements, the heavier one first, so that the order of the atoms changes nothing;
    distance (Å / 5); sum of the groups, difference of the electronegativities, and whether the
    number of electrons is odd: a level is then half filled, and the gap 0.
    """
    numbers, distance = pair(batch)
    ordered = jnp.sort(numbers, axis=1, descending=True)
    facts = jnp.asarray(_FACTS, distance.dtype)[ordered]  # [B, 2, 6]
    odd = (jnp.sum(numbers, axis=1) % 2).astype(distance.dtype)
    both = [jnp.sum(facts[..., 2], axis=1), jnp.abs(facts[:, 0, 3] - facts[:, 1, 3]), odd]
    return jnp.column_stack([facts.reshape(len(numbers), -1), distance / 5, *both])


def repeated_label(labels: Float[np.ndarray, " rows"]) -> float | None:
    """Return the label that more than a quarter of the rows have; None without one."""
    values, counts = np.unique(labels, return_counts=True)
    often = counts.max() > max(_REPEATED * len(labels), 1) and len(values) > 1
    return float(values[np.argmax(counts)]) if often else None


class Forest(NamedTuple):
    """T trees of depth D, whose sum is a number; a full binary tree each.

    Attributes:
      feature: [T, 2^D − 1] which feature a node asks about.
      threshold: [T, 2^D − 1] whether it is above.
      value: [T, 2^D] of the leaves.
      start: () what the values are added to.
    """

    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    start: float


class Model(Architecture):
    """Reads a pair's elements and bond length; grown at once instead of trained by steps.

    Piecewise constant in the bond length: it has no forces. The regressor learns by absolute
    errors, or by squared ones beside a classifier, which learns by the cross-entropy.
    """

    closed_form: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")
    not_smooth_reason: ClassVar[str] = "trees are piecewise constant"
    max_atomic_number: ClassVar[int] = MAX_ATOMIC_NUMBER

    outputs: int = 1
    trees: int = 500
    depth: int = 4
    learning_rate: float = 0.05

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """
        shape = (2, self.outputs, self.trees)  # of the regressor, and of the classifier
        asked = self._array("feature", (*shape, 2**self.depth - 1)).astype(jnp.int32)
        threshold = self._array("threshold", (*shape, 2**self.depth - 1))
        value = self._array("value", (*shape, 2**self.depth))
        start = self._array("start", shape[:2])
        repeated = self._array("repeated", (self.outputs,))

        facts = features(batch)[:, None, None]  # [B, 1, 1, F]
        place = jnp.zeros((len(facts), *shape), jnp.int32)  # among the nodes of one level
        for level in range(self.depth):
            node = (2**level - 1 + place)[..., None]
            fact = jnp.take_along_axis(asked[None], node, axis=-1)[..., 0]
            limit = jnp.take_along_axis(threshold[None], node, axis=-1)[..., 0]
            answer = jnp.take_along_axis(facts, fact, axis=-1, mode="clip")
            place = 2 * place + (answer > limit)
        leaves = jnp.take_along_axis(value[None], place[..., None], axis=-1)[..., 0]
        total = start + jnp.sum(leaves, axis=-1)  # [B, 2, outputs]
        return jnp.where(total[:, 1] > 0, repeated, total[:, 0])

    def _array(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        return self.param(name, nn.initializers.zeros, shape)

    def solve(self, structures: Batch, labels: Float[np.ndarray, "rows outputs"]) -> dict[str, Any]:
        """Return the variables that fit N pairs to scaled labels.

        Raises:
          InputError: scikit-learn is not installed.
        """
        try:
            import sklearn.ensemble as ensemble
        except ImportError as error:
            raise InputError(
                f"gradient_boosting needs scikit-learn ({error}); try: pip install "
                "'qc-jax[boosting]'"
            ) from error
        facts = np.asarray(features(structures))
        options: dict[str, Any] = {
            "n_estimators": self.trees,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "random_state": 0,  # it only orders questions that are equally good
        }
        forests: list[list[Forest]] = [[], []]
        constants = [repeated_label(column) for column in labels.T]
        for column, constant in zip(labels.T, constants, strict=True):
            there = column == constant
            loss = "absolute_error" if constant is None else "squared_error"
            regressor = ensemble.GradientBoostingRegressor(loss=loss, **options)
            regressor.fit(facts[~there], column[~there])
            start = float(regressor.init_.predict(facts[:1])[0])
            forests[0].append(self._forest(regressor.estimators_, start))
            if constant is None:
                forests[1].append(self._forest(np.empty((0, 1)), -1.0))
                continue
            classifier = ensemble.GradientBoostingClassifier(**options).fit(facts, there)
            odds = float(np.log(np.mean(there) / np.mean(~there)))
            forests[1].append(self._forest(classifier.estimators_, odds))
        parts = [Forest(*map(np.stack, zip(*each, strict=True))) for each in forests]
        weights = Forest(*map(np.stack, zip(*parts, strict=True)))._asdict()
        weights["repeated"] = np.array([constant or 0.0 for constant in constants])
        return {"params": jax.tree.map(jnp.float32, weights)}

    def _forest(self, trees: np.ndarray, start: float) -> Forest:
        """Return the trees [T, 1] of scikit-learn, zeros for those that are not there."""
        found = [self._full(tree.tree_) for tree in trees[:, 0]]
        nodes = 2**self.depth - 1
        none = (np.zeros(nodes), np.zeros(nodes, np.float32), np.zeros(nodes + 1))
        found += [none] * (self.trees - len(found))
        return Forest(*map(np.stack, zip(*found, strict=True)), start)

    def _full(self, tree: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features and thresholds [2^depth − 1] and values [2^depth] of a full binary tree.

        Below a leaf that stands higher up every way leads to its value.
        """
        feature = np.zeros(2**self.depth - 1)
        threshold = np.zeros(2**self.depth - 1, np.float32)
        value = np.zeros(2**self.depth)
        level = {0: 0}  # place among the nodes of the level → node of scikit-learn's
        for height in range(self.depth):
            below: dict[int, int] = {}
            for place, node in level.items():
                left, right = tree.children_left[node], tree.children_right[node]
                if left < 0:  # a leaf
                    left = right = node
                else:
                    here = 2**height - 1 + place
                    feature[here] = tree.feature[node]
                    threshold[here] = _round_down(tree.threshold[node])
                below |= {2 * place: left, 2 * place + 1: right}
            level = below
        for place, node in level.items():
            value[place] = self.learning_rate * tree.value[node, 0, 0]
        return feature, threshold, value


def _round_down(limit: float) -> np.float32:
    """The largest float32 that is not above; the same float32 numbers then lie on each side."""
    rounded = np.float32(limit)
    return np.nextafter(rounded, np.float32(-np.inf)) if rounded > limit else rounded
