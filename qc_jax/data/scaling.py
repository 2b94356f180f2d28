"""Labels on the scale that a model is trained on."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element
from qc_jax.data.targets import target
from qc_jax.errors import InputError

# A network may be off by hundreds on the scale; sums over rows have to fit into float32.
_LARGEST_LOG = 75.0


class Scaler(flax.struct.PyTreeNode):
    """Maps each target to [−1, 1] between two numbers, and back: those that `fit` says.

    Targets that explode near a zero gap (`Target.log_scale`) are scaled by their logarithm. Of a
    class, 0 or 1, the scale has −1 and 1; back from it comes the probability of 1, whose logit is
    what is on the scale.

    Attributes:
      low: [T] what is mapped to −1, after the logarithm where there is one.
      high: [T] what is mapped to 1.
      log: [T] bool.
      binary: whether each of the T is a class; () where none is.
    """

    low: jax.Array
    high: jax.Array
    log: jax.Array
    binary: tuple[bool, ...] = flax.struct.field(pytree_node=False, default=())

    def scale(self, labels: Float[Array, "*rows targets"]) -> Float[Array, "*rows targets"]:
        """Return labels in natural units on the scale."""
        # The inner `where` keeps the logarithm of an untransformed label out of the gradient.
        logs = jnp.log(jnp.where(self.log, labels, 1.0))
        labels = jnp.where(self.log, logs, labels)
        return 2 * (labels - self.low) / (self.high - self.low) - 1

    def unscale(self, scaled: Float[Array, "*rows targets"]) -> Float[Array, "*rows targets"]:
        """Return what is on the scale in natural units, of a logarithm up to e^`_LARGEST_LOG`."""
        labels = self.low + (scaled + 1) / 2 * (self.high - self.low)
        logs = jnp.minimum(jnp.where(self.log, labels, 0.0), _LARGEST_LOG)
        labels = jnp.where(self.log, jnp.exp(logs), labels)
        return self._of_classes(jax.nn.sigmoid, scaled, labels)

    def predict(self, scaled: Float[Array, "*rows targets"]) -> Float[Array, "*rows targets"]:
        """Return the labels that what is on the scale stands for: of classes 0 or 1."""
        labels = self.unscale(scaled)
        return self._of_classes(decide, labels, labels)

    def loss(
        self,
        scaled: Float[Array, "*rows targets"],
        labels: Float[Array, "*rows targets"],
        error_of: Callable[[Any], Any],
    ) -> Float[Array, "*rows targets"]:
        """Return `error_of` differences on the scale; of classes the cross-entropy, in nats.

        Args:
          scaled: predictions on the scale.
          labels: in natural units.
          error_of: like `jnp.abs`.
        """
        true = self.scale(labels)
        return self._of_classes(
            lambda logits: jax.nn.softplus(-true * logits), scaled, error_of(scaled - true)
        )

    def _of_classes(self, function, values, others):
        """Return `function` of the values of classes, and `others` of the other targets."""
        if not any(self.binary):
            return others
        return jnp.where(np.array(self.binary), function(values), others)


def decide(probability: Any) -> Any:
    """Return the likelier class, 0 or 1, of NumPy's or JAX's arrays; 1 where both are as likely."""
    return (probability >= 0.5) * 1.0


def binary(names: tuple[str, ...]) -> tuple[bool, ...]:
    """Return `Scaler.binary` of these targets."""
    found = tuple(target(name).is_class for name in names)
    return found if any(found) else ()


def element_counts(numbers: Int[np.ndarray, "rows atoms"]) -> Float[np.ndarray, "rows elements"]:
    """Return how many atoms of each atomic number the structures have; 0 is padding."""
    counts = np.zeros((len(numbers), MAX_ATOMIC_NUMBER + 1))
    for column in np.asarray(numbers).T:
        counts[np.arange(len(numbers)), column] += 1
    counts[:, 0] = 0
    return counts


def total_offsets(
    constant: Float[np.ndarray, " targets"],
    by_element: Mapping[str, tuple[float, ...]],
    numbers: Int[np.ndarray, "rows atoms"],
) -> Float[np.ndarray, "rows targets"]:
    """Return what was taken off the labels of structures, and their predictions get back.

    Args:
      constant: of every structure (`Task.offsets`).
      by_element: of every atom, by its symbol (`Task.element_offsets`); empty for none.
      numbers: atomic numbers; 0 is padding.

    Raises:
      InputError: there are constants of elements, and an atom's has none.
    """
    numbers = np.asarray(numbers)
    offsets = np.zeros((MAX_ATOMIC_NUMBER + 1, len(constant)))
    for symbol, values in by_element.items():
        offsets[element(symbol).atomic_number] = values
    if by_element:
        for number in np.unique(numbers[numbers > 0]):
            if (symbol := element(int(number)).symbol) not in by_element:
                raise InputError(
                    f"{symbol} is in no training structure: its energy as an atom is not known; "
                    f"expected {', '.join(by_element)}"
                )
    return np.asarray(constant, np.float64) + element_counts(numbers) @ offsets


def fit(labels: np.ndarray, names: tuple[str, ...], numbers: np.ndarray | None = None) -> Scaler:
    """Return the scaler of the training rows' labels.

    Without `numbers` 2 is the range of a target's labels. With them 1 is what is left of it, in the
    mean, beside one constant an element (`additive_constants`): errors of several targets then
    weigh by how hard each is, whatever its unit and its offset.

    Args:
      labels: [N, T] of training rows only, in natural units; NaN where one is missing.
      names: the T targets.
      numbers: [N, A] their atomic numbers; 0 is padding.

    Raises:
      InputError: a target is constant, or has a label that its scale can't hold.
    """
    labels = np.asarray(labels, dtype=np.float32)
    log = np.array([target(name).log_scale for name in names])
    for column, name in enumerate(names):
        values = labels[np.isfinite(labels[:, column]), column]
        if not len(values):
            raise InputError(f"target {name}: expected training rows that have it, got none")
        if target(name).is_class and not np.isin(values, (0, 1)).all():
            raise InputError(f"target {name}: expected classes 0 and 1, got {values.max()}")
        if log[column] and values.min() <= 0:
            raise InputError(
                f"target {name}: expected positive labels (it is trained on a logarithmic scale), "
                f"got {values.min()}"
            )
        if values.min() == values.max():
            raise InputError(
                f"target {name}: all {len(values)} training labels are {values.min()}; "
                "there is nothing to learn"
            )
    logs = np.where(log, np.log(np.where(log, labels, 1.0)), labels)
    low, high = np.nanmin(logs, axis=0), np.nanmax(logs, axis=0)
    if numbers is not None:
        constants, mean = additive_constants(numbers, logs.astype(np.float64))
        left = np.nanmean(np.abs(logs - mean - constants[numbers].sum(axis=1)), axis=0)
        # What constants tell without an error, to rounding, is still a target.
        left = np.maximum(left, 1e-3 * (high - low))
        low, high = np.float32(mean - left), np.float32(mean + left)
    if classes := binary(names):
        low, high = np.where(classes, np.float32(0), low), np.where(classes, np.float32(1), high)
    return Scaler(
        low=jnp.asarray(low), high=jnp.asarray(high), log=jnp.asarray(log), binary=classes
    )


def additive_constants(numbers: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares fit label ≈ mean + Σ_atoms c(Z), a constant an element and target.

    The least-norm solution: an element that is in no row has c = 0.

    Args:
      numbers: [N, A] atomic numbers; 0 is padding.
      labels: [N, T]; each target's fit is of the rows where it is finite.

    Returns:
      c [Z, T], and the mean [T] of the labels.
    """
    counts = element_counts(numbers)
    known = np.isfinite(labels)
    if known.all():  # one decomposition serves all targets
        mean = labels.mean(axis=0)
        constants, *_ = np.linalg.lstsq(counts, labels - mean, rcond=None)
        return constants, mean
    each = [
        additive_constants(numbers[rows], labels[rows, column, None])
        for column, rows in enumerate(known.T)
    ]
    return np.hstack([constants for constants, _ in each]), np.hstack([mean for _, mean in each])
