"""Forces and virials: what a model of energies says of them, and whether it can learn them.

Forces are −∂E/∂R, virials ∂E/∂ε of the strain ε of positions and cell, stress times volume.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.pairs import OWN_FILE
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.train.config import TrainConfig

# The names that errors are told under, of `data.targets`; those of virials are an atom's.
FORCES, VIRIALS = "force_ev_ang", "virial_ev"
ENERGY, FREE_ENERGY = "total_energy_ev", "mermin_free_energy_ev"  # what has forces


class Slopes(NamedTuple):
    """Derivatives of energies, of a model or of the data.

    Attributes:
      positions: by the atoms' positions, less the forces; None where nobody asks.
      strain: by the strain of positions and cell (`Batch.strained`), the virials; likewise.
    """

    positions: Float[Array, "batch atoms 3"] | None
    strain: Float[Array, "batch 3 3"] | None


def with_slopes(
    outputs: Callable[[Batch], tuple[jax.Array, Any]], structures: Batch, strained: bool = False
) -> tuple[Float[Array, "batch 1"], Any, Slopes]:
    """Return what `outputs` gives of structures, and the slopes of each one's output.

    Args:
      outputs: structures → outputs [B, 1], and anything else.
      structures: B of them, which know nothing of each other: the slope of their sum is that of
        each.
      strained: whether to ask for the slope by the strain, too.
    """

    def total(positions: jax.Array, strain: jax.Array | None) -> tuple[jax.Array, Any]:
        moved = structures.replace(positions=positions)
        found, other = outputs(moved if strain is None else moved.strained(strain))
        return jnp.sum(found), (found, other)

    positions = structures.positions
    if not strained:
        slope, (found, other) = jax.grad(total, has_aux=True)(positions, None)
        return found, other, Slopes(slope, None)
    none = jnp.zeros((len(positions), 3, 3), positions.dtype)
    slopes, (found, other) = jax.grad(total, argnums=(0, 1), has_aux=True)(positions, none)
    return found, other, Slopes(*slopes)


def energies_of(pairs: bool, provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which energies the forces of data may be slopes of, the likeliest first.

    Electrons of pairs are warm: what engines tell as forces are slopes of the free energy. A table
    of pairs that no engine made does not say. Larger structures have one energy.

    Args:
      pairs: whether the data are a table of pairs.
      provenance: of the data.
    """
    if not pairs:
        return (ENERGY,)
    own = provenance.get("engine", OWN_FILE) == OWN_FILE
    return (FREE_ENERGY, ENERGY) if own else (FREE_ENERGY,)


def without_others(task: Task) -> Task:
    """Return the task without forces that are no slopes of its targets."""
    dataset = task.dataset
    if not isinstance(dataset, Dataset) or not {*task.targets}.isdisjoint(_energies(task)):
        return task
    return task._replace(dataset=dataset.replace(forces=None, virials=None))


def _energies(task: Task) -> tuple[str, ...]:
    table = task.table
    return energies_of(isinstance(table, PairTable), {} if table is None else table.provenance)


def reason_against(
    model: Architecture,
    targets: tuple[str, ...],
    known: Any,
    energies: tuple[str, ...] = (ENERGY, FREE_ENERGY),
) -> str | None:
    """Return why a model has no slopes to be compared with those of the data, if so.

    Args:
      model: the architecture.
      targets: what it predicts.
      known: slopes of the data; None where there are none of its targets.
      energies: of `energies_of`; a task of others has no slopes.
    """
    if len(targets) != 1 or targets[0] not in energies:
        return (
            f"expected {' or '.join(energies)} as the only target, whose slopes forces of such "
            f"data are; got {', '.join(targets)}"
        )
    if model.no_forces_reason:
        return f"this model {model.no_forces_reason}"
    if model.closed_form:
        return "expected a model that is trained by steps"
    if known is None:
        return "these data have none"
    return None


def learned(model: Architecture, task: Task, settings: TrainConfig) -> Slopes:
    """Return the slopes that a training learns: forces [N, A, 3] eV/Å and virials [N, 3, 3] eV.

    Raises:
      InputError: it is to learn some, and can't.
    """
    wanted = {"force_weight": "forces", "virial_weight": "virials"}
    found: dict[str, jax.Array | None] = {"forces": None, "virials": None}
    dataset = task.dataset
    for weight, name in wanted.items():
        if not getattr(settings, weight):
            continue
        if not isinstance(dataset, Dataset):
            raise InputError(f"{weight}: expected structures in memory, got a stream of them")
        found[name] = getattr(dataset, name)
        against = reason_against(model, task.targets, found[name], _energies(task))
        if against:
            raise InputError(f"{weight}: {against}")
        sample = dataset.take(jnp.arange(1)).structures
        if "batch_stats" in jax.eval_shape(model.init, jax.random.key(0), sample):
            # Batch norm has the energy of a structure depend on the positions of others.
            raise InputError(f"{weight}: expected a model without averages, got batch_stats")
    return Slopes(found["forces"], found["virials"])
