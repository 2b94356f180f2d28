"""Forces: what a model of energies says of them, F = −∂E/∂R, and whether it can learn them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from qc_jax.data.dataset import Dataset, Task
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.train.config import TrainConfig

FORCES = "force_ev_ang"  # the name that errors of forces are told under, of `data.targets`
ENERGY = "total_energy_ev"  # what forces are the slope of


def with_slope(
    outputs: Callable[[jax.Array], tuple[jax.Array, Any]], positions: jax.Array
) -> tuple[jax.Array, Any, jax.Array]:
    """What `outputs` gives at the positions, and the slope of each structure's one output there.

    Args:
      outputs: positions [B, A, 3] → outputs [B, 1], and anything else.
      positions: Å.

    Returns:
      Both that `outputs` gives, and ∂output/∂positions [B, A, 3], outputs per Å. Structures know
      nothing of each other, so that the slope of their sum is that of each.
    """

    def total(positions):
        found, other = outputs(positions)
        return jnp.sum(found), (found, other)

    slope, (found, other) = jax.grad(total, has_aux=True)(positions)
    return found, other, slope


def reason_against(model: Architecture, targets: tuple[str, ...], forces: Any) -> str | None:
    """Why a model of these targets has no forces that could be compared with `forces`, if so."""
    if targets != (ENERGY,):
        return f"expected {ENERGY} as the only target, got {', '.join(targets)}"
    if "positions" not in model.inputs or model.closed_form:
        return "expected a model that reads positions and is trained by steps"
    if forces is None:
        return "these data have none"
    return None


def known(model: Architecture, task: Task, settings: TrainConfig) -> jax.Array | None:
    """The forces [N, A, 3] eV/Å that a training learns; None where it learns none.

    Raises:
      InputError: it is to learn some, and can't.
    """
    if not settings.force_weight:
        return None
    dataset = task.dataset
    if not isinstance(dataset, Dataset):
        raise InputError("force_weight: expected structures in memory, got a stream of them")
    against = reason_against(model, task.targets, dataset.forces)
    if against:
        raise InputError(f"force_weight: {against}")
    sample = dataset.take(jnp.arange(1)).structures
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), sample))
    if "batch_stats" in variables:
        # Batch norm has the energy of a structure depend on the positions of others.
        raise InputError("force_weight: expected a model without averages, got batch_stats")
    return dataset.forces
