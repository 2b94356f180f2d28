"""Tight-binding network: H. Li et al., J. Chem. Theory Comput. 14, 5764, 2018 (arXiv 1808.04526).

As there, quantum mechanics is the last layer; the form of the matrix and the network are our own.
A network of both elements and their distance gives the matrix elements of a minimal basis of s, p
and d orbitals. What is predicted is what quantum mechanics makes of the matrix: its eigenvalues,
filled from below with the valence electrons, give HOMO, LUMO, gap and band energy; its eigenvectors
give charges. The matrix of a molecule is made of those of its pairs (`_molecular_blocks`).
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.chem.units import BOHR_ANG, EBOHR_DEBYE
from qc_jax.data.batch import Batch
from qc_jax.data.scaling import Scaler, additive_constants, element_counts
from qc_jax.errors import InputError
from qc_jax.models import _molecular_blocks, _pair_blocks, _radial, _shells
from qc_jax.models._base import Architecture, field
from qc_jax.models._layers import Dense
from qc_jax.models._molecular_blocks import LEAST_ANG
from qc_jax.models._pair import pair
from qc_jax.models._pair_blocks import ENTRIES
from qc_jax.ops import safe_norm, safe_sqrt

# In units of which weights say how far an element's levels are from the basis's: the weights' decay
# draws them to those, not to zero.
_SPREAD_EV = 3.0
_DEBYE = EBOHR_DEBYE / BOHR_ANG  # of a charge of 1 e, 1 Å away
_LARGEST_STRETCH = 0.7  # of the logarithm of the distance over the sum of the covalent radii
_LOGARITHMIC = ("softness_evinv", "electrophilicity_ev")
_ENERGIES = ("total_energy_ev", "mermin_free_energy_ev")
_CALIBRATED = 256  # molecules that constants of elements are fitted on
# Targets that those are read off, too, which are not computed.
_READ = ("e_homo_ev", "e_lumo_ev", "band_energy_ev", "total_energy_ev", "dipole_mag_d", "q_absmean")
_EMBEDDING_START = 0.15  # standard deviation
_Table = Callable[[jax.Array], jax.Array]  # a layer: atomic numbers → features


class Model(Architecture):
    """Reads elements and distances of two atoms or more, or two elements and finds the distance.

    Orbitals of axial symmetry σ, π and δ do not mix: the matrix of two atoms falls into blocks of
    6, 4 and 2 orbitals, of which the last two count twice. Both atoms' p and d orbitals are
    oriented from their own atom to the other one, so that the exchange of the atoms exchanges rows
    and columns. In a molecule each pair has these blocks, in one matrix, and energies, charges and
    moments are sums over the pairs: two atoms in a batch of larger structures are what they are
    alone. Targets that it does not know by name are read off the network's last layer and some of
    the others.
    """

    as_pairs: ClassVar[bool] = True

    outputs: int = 1
    hidden: int = 256
    layers: int = 2
    embedding: int = 48
    gaussians: int = field(16, at_least=2)
    # Å, where the last Gaussian stands, and where atoms of molecules lose sight of each other.
    cutoff: float = field(6.0, above=0)
    # Whose shells and valence electrons the elements have.
    basis: Literal["gfn2_xtb", "ptbp"] = "ptbp"
    # Elements by what is known of their free atoms instead of by weights of their own: also of
    # elements that training has not seen.
    described: bool = False
    # Whether it reads the distance; else it is one of its predictions, a correction of the sum of
    # the covalent radii, and the pair lies along z.
    reads_positions: bool = True
    targets: tuple[str, ...] = ()  # what the outputs are, given by `for_targets`

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return what it reads, in the words of `qc_jax.data.targets.INPUTS`."""
        return ("atomic_numbers", "positions") if self.reads_positions else ("atomic_numbers",)

    @property
    def max_atomic_number(self) -> int:
        """The last element of the basis."""
        return len(_shells.of(self.basis).electrons) - 1

    @property
    def known_elements(self) -> frozenset[int]:
        """The elements that have valence electrons in the basis."""
        return frozenset(np.flatnonzero(_shells.of(self.basis).electrons).tolist())

    def check_data(self, provenance: Mapping[str, Any]) -> None:
        """Warn where it is known that the data's atoms have the other basis."""
        made = {"GFN2-xTB": "gfn2_xtb"}.get(str(provenance.get("method")))
        made = made or ("ptbp" if provenance.get("parameters") == "ptbp" else None)
        if made is not None and made != self.basis:
            warnings.warn(
                f"model.basis: the data were computed in that of {made!r}, the network has that of "
                f"{self.basis!r}",
                stacklevel=2,
            )

    def for_targets(self, names: tuple[str, ...]) -> "Model":
        """Return the model that computes these targets."""
        return self.clone(outputs=len(names), targets=names)

    def start(
        self, structures: Batch, labels: Float[np.ndarray, "rows outputs"], scaler: Scaler
    ) -> dict[str, Any]:
        """Return the labels' scale, and one constant of the total energy an element."""
        found: dict[str, Any] = {"scaling": {"low": scaler.low, "high": scaler.high}}
        energies = [n for n in _ENERGIES if n in self.targets]
        if energies:
            each = self._atomic_energies(structures, labels, energies[0])
            found["constants"] = {"atomic_energy": each.astype(np.float32)}
        return found

    def calibrate(
        self,
        variables: Mapping[str, Any],
        structures: Batch,
        labels: Float[np.ndarray, "rows outputs"],
        scaler: Scaler,
    ) -> dict[str, Any]:
        """Return constants of the elements of molecules with which energies are right on average.

        Pairs have them from `start`. What a network of pairs adds to them differs in molecules.
        """
        energies = [n for n in _ENERGIES if n in self.targets]
        if not energies or structures.atomic_numbers.shape[1] == 2:
            return {}
        column = self.targets.index(energies[0])
        rows = np.flatnonzero(np.isfinite(labels[:, column]))[:_CALIBRATED]
        some = jax.tree.map(lambda leaf: leaf[rows], structures)
        found = jax.jit(self.apply)(variables, some)
        error = labels[rows, column] - np.asarray(scaler.unscale(found))[:, column]
        counts = element_counts(np.asarray(some.atomic_numbers))[:, : self.max_atomic_number + 1]
        each, *_ = np.linalg.lstsq(counts, error, rcond=None)
        before = variables["constants"]["atomic_energy"]
        return {"constants": {"atomic_energy": before + each.astype(np.float32)}}

    def _atomic_energies(
        self, structures: Batch, labels: Float[np.ndarray, "rows outputs"], name: str
    ) -> Float[np.ndarray, " elements"]:
        """One energy an element, eV: of its free atom where it is described, else fitted.

        Also fitted where the basis does not say the free atoms' energies.
        """
        of_free_atoms = _shells.of(self.basis).energy
        if self.described and of_free_atoms.any():
            return of_free_atoms
        numbers = np.asarray(structures.atomic_numbers)
        column = labels[:, self.targets.index(name), None].astype(np.float64)
        constants, mean = additive_constants(numbers, column)
        each = np.where(np.isin(np.arange(len(constants)), numbers), mean / 2, 0)
        return (constants[:, 0] + each)[: self.max_atomic_number + 1]

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        """A Batch of B pairs or molecules → [B, outputs].

        Raises:
          InputError: the structures have cells or too many atoms, or are no pairs and it reads no
            positions.
        """
        if batch.shifts is not None:
            raise InputError(
                "tight_binding reads pairs and molecules: expected structures without a cell, in "
                "which levels are bands"
            )
        if batch.atomic_numbers.shape[1] == 2:
            known, features = self._of_pairs(batch)
        else:
            known, features = self._of_molecules(batch)
        names = self.targets or ("",) * self.outputs
        count = sum(name not in known for name in names)
        if count:
            read = jnp.stack([known[name] for name in _READ], axis=-1) / 10
            read = jnp.concatenate([features, read], axis=-1)
            others = iter(Dense(count, name="out")(read).T)
        low = self.variable("scaling", "low", lambda: -jnp.ones(self.outputs)).value
        high = self.variable("scaling", "high", lambda: jnp.ones(self.outputs)).value
        columns: list[jax.Array] = []
        for name in names:
            if name in known:
                column = len(columns)
                scaler = Scaler(low[column], high[column], jnp.array(name in _LOGARITHMIC))
                columns.append(scaler.scale(known[name]))
            else:
                columns.append(next(others))
        return jnp.stack(columns, axis=-1)

    def _of_pairs(
        self, batch: Batch
    ) -> tuple[dict[str, Float[Array, " batch"]], Float[Array, "batch hidden"]]:
        """The targets that are computed of B pairs, and what others are read off."""
        numbers, distance = pair(batch)
        if not self.reads_positions:
            radii = jnp.asarray(_shells.covalent_radii(self.max_atomic_number), jnp.float32)
            distance = radii[numbers].sum(axis=1, keepdims=True)
        distance = jnp.maximum(distance, LEAST_ANG)
        e, length = self._elements()(numbers), distance[:, 0]
        h = self._network()(self._inputs(e, e[:, ::-1], distance))  # [B, 2, ·]
        if not self.reads_positions:
            start = nn.initializers.zeros
            longer = Dense(1, kernel_init=start, name="length")(h).sum(axis=(1, 2))
            length *= jnp.exp(_LARGEST_STRETCH * jnp.tanh(longer))
        return self._known(numbers, length, h, batch), h.sum(axis=1)

    def _elements(self) -> _Table:
        """Return the layer of the elements' embeddings."""
        start = nn.initializers.normal(_EMBEDDING_START)
        return self._table(self.embedding, "elements", start)

    def _inputs(
        self,
        one: Float[Array, "*pairs features"],
        other: Float[Array, "*pairs features"],
        distance: Float[Array, "*pairs"],
    ) -> Float[Array, "*pairs inputs"]:
        """Return what the network reads of an atom beside another one, at a distance in Å."""
        reach = _radial.gaussians(distance, self.gaussians, self.cutoff)
        distance = distance[..., None]
        reach = jnp.concatenate([reach, distance / 3, 1 / distance], axis=-1)
        shape = jnp.broadcast_shapes(one.shape[:-1], other.shape[:-1])
        parts = [jnp.broadcast_to(each, (*shape, each.shape[-1])) for each in (one, other, reach)]
        return jnp.concatenate(parts, axis=-1)

    def _network(self) -> Callable[[jax.Array], jax.Array]:
        """Return the network: of an atom, the other one and their distance → its last layer."""
        first = Dense(self.hidden, name="in")
        rest = [Dense(self.hidden, name=f"layer_{layer}") for layer in range(self.layers - 1)]

        def of(inputs: jax.Array) -> jax.Array:
            h = nn.silu(first(inputs))
            for layer in rest:
                h = h + nn.silu(layer(h))
            return h

        return of

    def _table(self, features: int, name: str, start: nn.initializers.Initializer) -> _Table:
        """Return the layer of what it holds of each element, or makes of what is known of it."""
        if not self.described:
            rows = self.max_atomic_number + 1
            return nn.Embed(rows, features, embedding_init=start, name=name)
        return _shells.Described(features, start, name=name)

    def _known(
        self, numbers: jax.Array, distance: jax.Array, h: jax.Array, batch: Batch
    ) -> dict[str, Float[Array, " batch"]]:
        """The targets that are computed, in their units.

        Args:
          numbers: [B, 2].
          distance: [B] Å.
          h: [B, 2, hidden], of each atom beside the other.
          batch: of the pairs.
        """
        basis, rows = _shells.of(self.basis), self.max_atomic_number + 1
        electrons = jnp.asarray(basis.electrons)[numbers]  # [B, 2]
        levels, held = self._levels(numbers, h, basis)
        count = electrons.sum(axis=1)
        filled = jnp.clip(count - 2 * jnp.arange(len(levels))[:, None], 0, 2)  # [orbitals, B]
        homo = jnp.take_along_axis(levels, (count[None] + 1) // 2 - 1, axis=0)[0]
        lumo = jnp.take_along_axis(levels, count[None] // 2, axis=0)[0]
        band = jnp.sum(filled * levels, axis=0)

        heads = Dense(5, name="heads")(h)  # [B, 2, 5]
        charge, screen, energy, entropy, moment = jnp.moveaxis(heads, -1, 0)
        share = self.param("charge_share", nn.initializers.constant(0.5), ())
        charge = share * (electrons[:, 0] - jnp.sum(filled * held, axis=0)) + _odd(charge)
        # Of the first atom, whose partner has the opposite; the moment points to the second.
        dipole = -_DEBYE * charge * distance + _odd(moment)

        atoms = self._table(3, "atoms", nn.initializers.zeros)(numbers)  # [B, 2, 3]
        cores = 2 * jnp.exp(atoms[..., 0])
        repulsion = _pair_blocks.repulsion(
            cores.prod(axis=1), atoms[..., 1].sum(axis=1), screen.sum(axis=1), distance
        )

        constants = self.variable("constants", "atomic_energy", jnp.zeros, rows).value
        total = (constants[numbers] + atoms[..., 2] + energy).sum(axis=1)
        total += self.param("band_share", nn.initializers.zeros, ()) * band
        along = distance
        if self.reads_positions:
            along = batch.positions[:, 1, 2] - batch.positions[:, 0, 2]
        size = jnp.abs(charge)
        return {
            **_pair_blocks.of_levels(homo, lumo),
            "band_energy_ev": band,
            "repulsive_energy_ev": repulsion,
            "total_energy_ev": total,
            "mermin_free_energy_ev": total - nn.softplus(entropy.sum(axis=1) - 2) / 10,
            "dipole_mag_d": jnp.abs(dipole),
            "dipole_z_d": dipole * along / distance,
            "distance_ang": distance,
            "q_maxabs": size,
            "q_absmean": size,
            "q_std": size,
        }

    def _of_molecules(
        self, batch: Batch
    ) -> tuple[dict[str, Float[Array, " batch"]], Float[Array, "batch hidden"]]:
        """As `_of_pairs`, of B structures of any number of atoms; sums are over pairs' weights."""
        if not self.reads_positions:
            raise InputError(
                "tight_binding with reads_positions=False makes pairs of two elements: expected 2 "
                f"atoms a structure, got {batch.atomic_numbers.shape[1]}"
            )
        numbers, there = batch.atomic_numbers, batch.atom_mask
        seen = _molecular_blocks.geometry(batch, self.cutoff)
        elements, network = self._elements(), self._network()
        matrix = Dense(ENTRIES, name="matrix")
        e = elements(numbers)
        h = network(self._inputs(e[:, :, None], e[:, None], seen.distance))  # [B, A, A, ·]
        # Levels of pairs leave open which sign the hoppings of a symmetry have: in the network's
        # they are those that carbon's pair is bound with.
        carbon = elements(jnp.array([6]))
        length = jnp.full(1, 2 * _shells.covalent_radii(6)[6], h.dtype)
        parts = _pair_blocks.by_symmetry(matrix(network(self._inputs(carbon, carbon, length))))
        signs = [jnp.where(between[0, 0, 0] > 0, -1, 1) for _, between in parts]
        own, between = zip(*_pair_blocks.by_symmetry(matrix(h)), strict=True)

        basis, rows = _shells.of(self.basis), self.max_atomic_number + 1
        present = jnp.asarray(basis.present)[numbers] & there[..., None]
        found = _molecular_blocks.matrices(
            seen,
            [(each + each.swapaxes(-1, -2)) / 2 for each in own],
            [
                sign * (each + each.swapaxes(1, 2).swapaxes(-1, -2))
                for sign, each in zip(signs, between, strict=True)
            ],
            self._onsite(numbers, basis),
            present,
        )
        electrons = jnp.asarray(basis.electrons)[numbers]
        solved = _molecular_blocks.solve(found, present, electrons)

        heads = jnp.moveaxis(Dense(5, name="heads")(h), -1, 0)
        charge, screen, energy, entropy, moment = heads  # [B, A, A] each
        share = self.param("charge_share", nn.initializers.constant(0.5), ())
        charge = jnp.sum(seen.weight * (charge - charge.swapaxes(1, 2)), axis=2)  # [B, A]
        charge += share * (electrons - solved.held)
        dipole = _DEBYE * jnp.sum(charge[..., None] * seen.positions, axis=1)
        dipole += jnp.sum((seen.weight * moment)[..., None] * seen.direction, axis=(1, 2))

        atoms = self._table(3, "atoms", nn.initializers.zeros)(numbers)  # [B, A, 3]
        cores = 2 * jnp.exp(atoms[..., 0])
        repulsion = _pair_blocks.repulsion(
            cores[:, :, None] * cores[:, None],
            atoms[:, :, None, 1] + atoms[:, None, :, 1],
            screen + screen.swapaxes(1, 2),
            seen.distance,
        )
        constants = self.variable("constants", "atomic_energy", jnp.zeros, rows).value
        total = jnp.sum(jnp.where(there, constants[numbers] + atoms[..., 2], 0), axis=1)
        total += jnp.sum(seen.weight * energy, axis=(1, 2))
        total += self.param("band_share", nn.initializers.zeros, ()) * solved.band
        entropy = nn.softplus(entropy + entropy.swapaxes(1, 2) - 2) / 10

        def mean(values: jax.Array) -> jax.Array:
            return batch.pool(values[..., None], "mean")[:, 0]

        return {
            **_pair_blocks.of_levels(solved.homo, solved.lumo),
            "band_energy_ev": solved.band,
            "repulsive_energy_ev": jnp.sum(seen.weight * repulsion, axis=(1, 2)) / 2,
            "total_energy_ev": total,
            "mermin_free_energy_ev": total - jnp.sum(seen.weight * entropy, axis=(1, 2)) / 2,
            "dipole_mag_d": safe_norm(dipole),
            "dipole_z_d": dipole[:, 2],
            "distance_ang": seen.shortest,
            "q_maxabs": jnp.max(jnp.abs(charge), axis=1),
            "q_absmean": mean(jnp.abs(charge)),
            "q_std": safe_sqrt(mean(charge**2) - mean(charge) ** 2),
        }, jnp.sum(seen.weight[..., None] * h, axis=(1, 2))

    def _onsite(
        self, numbers: Int[Array, "batch atoms"], basis: _shells.Shells
    ) -> Float[Array, "batch atoms 3"]:
        """Levels of the free atoms' shells in eV."""
        free = self._table(3, "shells", nn.initializers.normal(0.3))(numbers)
        return jnp.asarray(basis.levels, jnp.float32)[numbers] + _SPREAD_EV * free

    def _levels(
        self, numbers: jax.Array, h: jax.Array, basis: _shells.Shells
    ) -> tuple[Float[Array, "orbitals batch"], Float[Array, "orbitals batch"]]:
        """Levels of pairs in eV, ascending, and which part of each is the first atom's.

        Args:
          numbers: [B, 2].
          h: [B, 2, hidden].
          basis: of the elements.
        """
        present = jnp.asarray(basis.present)[numbers]  # [B, 2, 3]
        onsite = self._onsite(numbers, basis)
        return _pair_blocks.levels(Dense(ENTRIES, name="matrix")(h), onsite, present)


def _odd(values: Float[Array, "batch 2"]) -> Float[Array, " batch"]:
    """What changes its sign with the order of the atoms."""
    return values[:, 0] - values[:, 1]
