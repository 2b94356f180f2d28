"""A trained model as the potential of one system, in the form of jax-md's energy functions."""

import contextlib
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax import models
from qc_jax.data.atoms import Structure, check_structure
from qc_jax.data.batch import Batch, all_neighbors
from qc_jax.data.domain import describe_outside, is_outside
from qc_jax.data.neighbors import Neighbors
from qc_jax.data.scaling import Scaler
from qc_jax.errors import InputError
from qc_jax.ops import on_host, safe_norm
from qc_jax.runs.saved import SavedRun, energy_column
from qc_jax.train.forces import Slopes, with_slopes

SKIN = 1.0  # Å that lists reach beyond the cutoff: they hold until an atom has gone half of it
_SPARE = 1.25  # room in a list beside what is needed when it is made
_FEW = 32  # atoms without a cell that simply see each other all


class Links(NamedTuple):
    """Who may see whom.

    Attributes:
      neighbors: [n, K] int32 into the n atoms; n is padding.
      shifts: [n, K, 3] Å to a neighbour's image; None without a cell.
    """

    neighbors: Any
    shifts: Any


NO_SLOPES = (
    "the model was trained on no forces and on each pair at one distance: its forces, and its "
    "energies at other distances, are a guess"
)


class Potential:
    """Calculate the energy of n atoms (eV) by a trained model, free or in a cell.

    `energy_fn(positions, neighbor)` is what jax-md takes, with `neighbor` from `links`. Models with
    a cutoff get lists of neighbours, others see all atoms. All is meant to run within `precision`.

    Args:
      run: The trained model; what was taken off the energies that it was trained on
        (`run.offsets`) is added to those that are told.
      structure: The atoms; its positions are not kept.
      double: Whether to calculate in float64.

    Attributes:
      domain: What the model was trained on; None where that is not known.
      learned_slopes: whether that tells anything of forces; else `NO_SLOPES` says what it is.
      offset: eV, of `run.offsets`; not part of `energy_fn`, whose float32 would lose digits.
      numbers: [n] int32.
      cell: [3, 3] Å, or None.
      cutoff: Å, of the model or of its training's neighbours; None for none.
      lists: whether neighbours change, so that `links` has to be asked again on the way.
      regrown: how often a list had to grow, since atoms had more neighbours than it had room for.

    Raises:
      InputError: the model has no energy, is not smooth, does not know an element, or has no
        cutoff and is asked for a cell.
    """

    def __init__(
        self,
        run: SavedRun,
        structure: Structure,
        double: bool = False,
    ):
        check_structure(structure)
        self._column = energy_column(run)
        self.double, self.domain = double, run.domain
        self.learned_slopes = run.learned_slopes
        self.dtype = np.float64 if double else np.float32
        state = jax.device_get((run.variables, run.scaler))
        self._of_model = (run.model, self._column, *jax.tree.map(self._cast, state))
        self.numbers = np.asarray(structure.atomic_numbers, np.int32)
        self.offset = float(run.offsets(self.numbers[None])[0, self._column])
        self.cell = None if structure.cell is None else np.asarray(structure.cell, np.float64)
        self.cutoff: float | None = run.record.cutoff or run.model.cutoff
        if self.cell is not None and self.cutoff is None:
            raise InputError(
                f"{run.config.model.name} has no cutoff and sees all atoms of a "
                "structure; in a cell they are endless: expected a model with one, like schnet"
            )
        atoms = len(self.numbers)
        self.lists = self.cutoff is not None and (self.cell is not None or atoms > _FEW)
        self._finder = Neighbors(self.cutoff + SKIN) if self.lists and self.cutoff else None
        self._slots = self.regrown = 0
        batch = _batch(self.numbers, np.zeros((atoms, 3)), self._all())
        models.check(run.model, batch, np.array(["the structure"]))

    def _cast(self, leaf: Any) -> Any:
        return leaf.astype(self.dtype) if leaf.dtype.kind == "f" else leaf

    def precision(self) -> contextlib.AbstractContextManager:
        """Return the context in which JAX has this potential's precision."""
        return jax.enable_x64(self.double)

    def links(self, positions: Float[np.ndarray, "atoms 3"]) -> Links:
        """Return the neighbours at positions in Å, those up to `SKIN` beyond the cutoff included.

        Raises:
          InputError: a position is not finite, or the cell is too narrow.
        """
        if self._finder is None:
            return self._all()
        with jax.enable_x64(False):
            found = self._finder.find(np.asarray(positions, np.float64), self.cell)
        needed = found.neighbors.shape[1]
        if needed > self._slots:
            self.regrown += self._slots > 0
            self._slots = int(np.ceil(_SPARE * needed))
        spare = ((0, 0), (0, self._slots - needed))
        neighbors = np.pad(found.neighbors, spare, constant_values=len(self.numbers))
        if found.shifts is None:
            return Links(neighbors, None)
        assert self.cell is not None
        # Whole lattice vectors, in the potential's own precision.
        steps = np.round(found.shifts.astype(np.float64) @ np.linalg.inv(self.cell))
        shifts = np.pad(steps @ self.cell, (*spare, (0, 0)))
        return Links(neighbors, shifts.astype(self.dtype))

    def _all(self) -> Links:
        return Links(all_neighbors(self.numbers[None])[0], None)

    def energy_fn(
        self, positions: Float[Array, "atoms 3"], neighbor: Links, **_: Any
    ) -> Float[Array, ""]:
        """Return the energy in eV, without `offset`, at positions in Å; works inside jit."""
        batch = _batch(self.numbers, positions, neighbor)
        return _energy(*self._of_model, batch, self.cutoff)[0][0, 0]

    def energy_and_forces(
        self, positions: Float[np.ndarray, "atoms 3"]
    ) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        """Return the energy in eV and forces in eV/Å at positions in Å.

        Raises:
          InputError: as `links`.
        """
        energy, forces, _ = self.energy_forces_virial(positions)
        return energy, forces

    def energy_forces_virial(
        self, positions: Float[np.ndarray, "atoms 3"]
    ) -> tuple[float, Float[np.ndarray, "atoms 3"], Float[np.ndarray, "3 3"]]:
        """Return energy (eV), forces (eV/Å), and the derivative of the energy by the strain (eV).

        A strain ε takes positions and cell to r (1 + ε) (F. H. Nielsen, R. M. Martin, Phys. Rev. B
        32, 3780, 1985); the derivative is symmetric, and the stress is it over the volume.

        Raises:
          InputError: as `links`.
        """
        links = self.links(positions)
        with self.precision():
            batch = _batch(self.numbers, np.asarray(positions, self.dtype), links)
            energy, slopes = _energy_and_slopes(*self._of_model, batch, self.cutoff)
        assert slopes.positions is not None and slopes.strain is not None, "both were asked for"
        forces = -np.asarray(slopes.positions[0], np.float64)
        virial = np.asarray(slopes.strain[0], np.float64)
        return float(energy[0, 0]) + self.offset, forces, (virial + virial.T) / 2

    def outside(self, positions: Float[Array, "atoms 3"], neighbor: Links) -> Int[Array, ""]:
        """Return how many links the training rows do not span; 0 where they are not known."""
        if self.domain is None:
            return jnp.int32(0)
        batch = _batch(self.numbers, positions, neighbor)
        distance = safe_norm(batch.displacements(batch.positions))[0]
        there = batch.neighbor_mask[0]
        if self.cutoff is not None:
            there &= distance <= self.cutoff
        around = jnp.asarray(self.numbers)[jnp.where(there, batch.neighbors[0], 0)]
        outside = is_outside(self.domain, self.numbers[:, None], around, distance)
        return jnp.sum(there & outside, dtype=jnp.int32) // 2  # each is seen from both of its ends

    def describe_outside(self, positions: Float[np.ndarray, "atoms 3"]) -> list[str]:
        """Return how positions (Å) leave what the model was trained on, a line each."""
        if self.domain is None:
            return []
        batch = _batch(self.numbers, positions, self.links(positions))
        return describe_outside(self.domain, batch, self.cutoff)


def _batch(numbers: Any, positions: Any, neighbor: Links) -> Batch:
    one = jax.tree.map(lambda leaf: on_host(leaf)[None], (numbers, positions, neighbor))
    return Batch(one[0], one[1], neighbors=one[2].neighbors, shifts=one[2].shifts)


def _energies(
    model: models.Architecture,
    column: int,
    variables: models.Variables,
    scaler: Scaler,
    batch: Batch,
    cutoff: float | None,
) -> tuple[Float[Array, "batch 1"], None]:
    if cutoff is not None:  # who waits beyond it is not there yet, as in training
        near = safe_norm(batch.displacements(batch.positions)) <= cutoff
        padding = batch.atomic_numbers.shape[1]
        batch = batch.replace(neighbors=jnp.where(near, batch.neighbors, padding))
    # GPUs and TPUs would round the factors of matrix products.
    with jax.default_matmul_precision("float32"):
        found = scaler.unscale(models.apply(model, variables, batch))
    return found[:, column : column + 1], None


_energy = jax.jit(_energies, static_argnames=("model", "column", "cutoff"))


@functools.partial(jax.jit, static_argnames=("model", "column", "cutoff"))
def _energy_and_slopes(
    model: models.Architecture,
    column: int,
    variables: models.Variables,
    scaler: Scaler,
    batch: Batch,
    cutoff: float | None,
) -> tuple[Float[Array, "batch 1"], Slopes]:
    def energies(moved: Batch) -> tuple[jax.Array, None]:
        return _energies(model, column, variables, scaler, moved, cutoff)

    found, _, slopes = with_slopes(energies, batch, strained=True)
    return found, slopes
