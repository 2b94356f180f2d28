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
    """Return facts about each element by atomic number, about 0 to 1: float32 [Z, 6].

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
OF_ELEMENTS = 2 * _FACTS.shape[1] + 1  # features of both elements and the distance, the first ones
_REPEATED = 0.25  # the share of labels that may be one number


def features(batch: Batch) -> Float[Array, "batch features"]:
    """Return what the trees ask about.

    Facts of both elements, the heavier one first, so that the order of the atoms changes nothing,
    and distance (Å / 5). Then, used where a fifth of the training rows says that they help: sum of
    the groups, difference of the electronegativities, and whether the number of electrons is odd: a
    level is then half filled, and the gap 0.
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


class _Grown(NamedTuple):
    """What scikit-learn has grown for one target; without a repeated label no classifier."""

    regressor: Any
    classifier: Any
    repeated: float | None

    def predict(self, facts: np.ndarray) -> np.ndarray:
        """Return the labels [N] of facts [N, F]."""
        found = self.regressor.predict(facts)
        if self.classifier is not None:
            found[self.classifier.predict(facts)] = self.repeated
        return found


class Model(Architecture):
    """Reads a pair's elements and bond length; grown at once instead of trained by steps.

    Piecewise constant in the bond length: it has no forces. The regressor learns by absolute
    errors, or by squared ones beside a classifier, which learns by the cross-entropy.
    """

    closed_form: ClassVar[bool] = True
    as_pairs: ClassVar[bool] = True
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
        facts = np.asarray(features(structures))
        grown = [self._chosen(facts, column) for column in labels.T]
        forests = [[self._forest(each[part]) for each in grown] for part in (0, 1)]
        weights = _stack([_stack(each) for each in forests])._asdict()
        weights["repeated"] = np.array([each.repeated or 0.0 for each in grown])
        return {"params": jax.tree.map(jnp.float32, weights)}

    def _chosen(self, facts: np.ndarray, labels: np.ndarray) -> _Grown:
        """Grow on the features that a fifth of the rows is predicted best with, by the others."""
        order = np.random.default_rng(0).permutation(len(labels))
        held, others = order[: len(order) // 5], order[len(order) // 5 :]
        errors = {}
        for used in (OF_ELEMENTS, facts.shape[1]):
            grown = self._grow(facts[others, :used], labels[others])
            errors[used] = np.abs(grown.predict(facts[held, :used]) - labels[held]).sum()
        return self._grow(facts[:, : min(errors, key=errors.__getitem__)], labels)

    def _grow(self, facts: np.ndarray, labels: np.ndarray) -> _Grown:
        """Grow trees on facts [N, F] and labels [N]."""
        try:
            import sklearn.ensemble as ensemble
        except ImportError as error:
            raise InputError(
                f"gradient_boosting needs scikit-learn ({error}); try: pip install "
                "'qc-jax[boosting]'"
            ) from error
        options: dict[str, Any] = {
            "n_estimators": self.trees,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "random_state": 0,  # it only orders questions that are equally good
        }
        repeated = repeated_label(labels)
        there = np.zeros(len(labels), bool) if repeated is None else labels == repeated
        loss = "absolute_error" if repeated is None else "squared_error"
        regressor = ensemble.GradientBoostingRegressor(loss=loss, **options)
        regressor.fit(facts[~there], labels[~there])
        classifier = None
        if repeated is not None:
            classifier = ensemble.GradientBoostingClassifier(**options).fit(facts, there)
        return _Grown(regressor, classifier, repeated)

    def _forest(self, boosted: Any) -> Forest:
        """Return the trees of scikit-learn; of None those that never tell the repeated label."""
        if boosted is None:
            nodes = np.zeros((self.trees, 2**self.depth - 1))
            return Forest(nodes, nodes, np.zeros((self.trees, 2**self.depth)), -1.0)
        found = _stack([self._full(tree.tree_) for tree in boosted.estimators_[:, 0]])
        none = np.zeros((1, boosted.n_features_in_), np.float32)
        start = float(np.ravel(boosted._raw_predict_init(none))[0])
        return found._replace(start=start)

    def _full(self, tree: Any) -> Forest:
        """Return a full binary tree: features and thresholds [2^depth − 1], values [2^depth].

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
        return Forest(feature, threshold, value, 0.0)


def _stack(forests: list[Forest]) -> Forest:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *forests)


def _round_down(limit: float) -> np.float32:
    """Return the largest float32 that is not above: the same float32 numbers lie on each side."""
    rounded = np.float32(limit)
    return np.nextafter(rounded, np.float32(-np.inf)) if rounded > limit else rounded
