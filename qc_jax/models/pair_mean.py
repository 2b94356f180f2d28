"""Pair mean: additive least squares, one constant an element; what every model has to beat."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER
from qc_jax.data.batch import Batch
from qc_jax.data.scaling import additive_constants
from qc_jax.models._base import Architecture


class Model(Architecture):
    """Reads elements alone; solved in closed form instead of trained by steps."""

    closed_form: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers",)
    max_atomic_number: ClassVar[int] = MAX_ATOMIC_NUMBER

    outputs: int = 1

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        elements = nn.Embed(MAX_ATOMIC_NUMBER + 1, self.outputs, name="elements")
        mean = self.param("bias", nn.initializers.zeros, (self.outputs,))
        return batch.pool(elements(batch.atomic_numbers)) + mean

    def solve(self, structures: Batch, labels: Float[np.ndarray, "rows outputs"]) -> dict[str, Any]:
        """Return the variables that fit the structures to scaled labels."""
        constants, mean = additive_constants(np.asarray(structures.atomic_numbers), labels)
        weights = {"elements": {"embedding": constants}, "bias": mean}
        return {"params": jax.tree.map(jnp.float32, weights)}
