"""Gradient boosting: J. H. Friedman, Ann. Stat. 29, 1189, 2001 (doi 10.1214/aos/1013203451).

Grown by scikit-learn, the extra `[boosting]`, on facts about the two elements and their distance.
The trees are then arrays, so that what runs, is saved and predicts is a model like the others.
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

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
FEATURES = 2 * _FACTS.shape[1] + 1
_REPEATED = 0.25  # the share of labels that may be one number


def features(batch: Batch) -> jax.Array:
    """What the trees ask about B pairs: facts of both elements, distance (Å / 5): [B, FEATURES].

    The heavier element comes first, so that the order of the atoms changes nothing.
    """
    numbers, distance = pair(batch)
    ordered = jnp.sort(numbers, axis=1, descending=True)
    facts = jnp.asarray(_FACTS, distance.dtype)[ordered]  # [B, 2, 6]
    return jnp.concatenate([facts.reshape(len(numbers), -1), distance / 5], axis=1)


def loss(labels: np.ndarray) -> str:
    """Return scikit-learn's name of the loss that learns these labels [N]."""
    most = np.unique(labels, return_counts=True)[1].max() / len(labels)
    return "squared_error" if most > _REPEATED else "absolute_error"


class Model(Architecture):
    """Reads a pair's elements and bond length; grown at once instead of trained by steps.

    Piecewise constant in the bond length: it has no forces.
    Grown by absolute errors; by squared ones where more than a quarter of the training labels are
    one number, as gaps of 0 are: absolute errors then have the median's side to grow trees on at
    most, and with more than half of the labels all predictions would be that number.
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
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        """A Batch of B pairs → [B, outputs].

        Raises:
          InputError: the structures are no pairs.
        """
        shape = (self.outputs, self.trees)
        asked = self._array("feature", (*shape, 2**self.depth - 1)).astype(jnp.int32)
        threshold = self._array("threshold", (*shape, 2**self.depth - 1))
        value = self._array("value", (*shape, 2**self.depth))
        start = self._array("start", (self.outputs,))

        facts = features(batch)  # [B, F]
        place = jnp.zeros((len(facts), *shape), jnp.int32)  # among the nodes of one level
        for level in range(self.depth):
            node = (2**level - 1 + place)[..., None]
            fact = jnp.take_along_axis(asked[None], node, axis=-1)[..., 0]
            limit = jnp.take_along_axis(threshold[None], node, axis=-1)[..., 0]
            answer = jnp.take_along_axis(facts[:, None], fact, axis=-1, mode="clip")
            place = 2 * place + (answer > limit)
        leaves = jnp.take_along_axis(value[None], place[..., None], axis=-1)[..., 0]
        return start + jnp.sum(leaves, axis=-1)

    def _array(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        return self.param(name, nn.initializers.zeros, shape)

    def solve(self, structures: Batch, labels: np.ndarray) -> dict[str, Any]:
        """Return the variables that fit N pairs to scaled labels [N, outputs].

        Raises:
          InputError: scikit-learn is not installed.
        """
        try:
            from sklearn.ensemble import GradientBoostingRegressor
        except ImportError as error:
            raise InputError(
                f"gradient_boosting needs scikit-learn ({error}); try: pip install "
                "'qc-jax[boosting]'"
            ) from error
        facts = np.asarray(features(structures))
        grown: dict[str, list] = {"feature": [], "threshold": [], "value": [], "start": []}
        for column in labels.T:
            boosted = GradientBoostingRegressor(
                loss=loss(column),
                n_estimators=self.trees,
                max_depth=self.depth,
                learning_rate=self.learning_rate,
                random_state=0,  # it only orders questions that are equally good
            ).fit(facts, column)
            forest = [self._full(tree.tree_) for tree in boosted.estimators_[:, 0]]
            for name, arrays in zip(grown, zip(*forest, strict=True), strict=False):
                grown[name].append(np.stack(arrays))
            grown["start"].append(float(boosted.init_.predict(facts[:1])[0]))
        weights = {
            name: jnp.asarray(np.stack(arrays), jnp.float32) for name, arrays in grown.items()
        }
        return {"params": weights}

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
