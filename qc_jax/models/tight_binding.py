"""Tight-binding network: H. Li et al., J. Chem. Theory Comput. 14, 5764, 2018 (arXiv 1808.04526).

As there, quantum mechanics is the last layer; the form of the matrix and the network are our own.
A network of both elements and their distance gives the matrix elements of a minimal basis of s, p
and d orbitals. What is predicted is what quantum mechanics makes of the matrix: its eigenvalues,
filled from below with the pair's valence electrons, give HOMO, LUMO, gap and band energy; its
eigenvectors give charges.
"""

import functools
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.chem import elements
from qc_jax.chem.units import BOHR_ANG, EBOHR_DEBYE, HARTREE_EV
from qc_jax.data import labels as formulas
from qc_jax.data.batch import Batch
from qc_jax.data.scaling import Scaler, additive_constants
from qc_jax.models import _radial, _shells
from qc_jax.models._base import Architecture, field
from qc_jax.models._eigen import eigh
from qc_jax.models._layers import Dense
from qc_jax.models._pair import pair

_ABSENT_EV = 60.0  # the level of an orbital that an element has not: never filled
_LEAST_ANG = 0.1  # atoms that are closer are taken to be so far apart
# In units of which weights say how far an element's levels are from the basis's: the weights' decay
# draws them to those, not to zero.
_SPREAD_EV = 3.0
_LEAST_GAP_EV = 1e-2  # that softness and electrophilicity are computed of
_COULOMB_EV_ANG = HARTREE_EV * BOHR_ANG
_DEBYE = EBOHR_DEBYE / BOHR_ANG  # of a charge of 1 e, 1 Å away
_LARGEST_STRETCH = 0.7  # of the logarithm of the distance over the sum of the covalent radii
_LARGEST_SCREEN = 6.0  # of the logarithm of the repulsion's correction
_LOGARITHMIC = ("softness_evinv", "electrophilicity_ev")
# Targets that those are read off, too, which are not computed.
_READ = ("e_homo_ev", "e_lumo_ev", "band_energy_ev", "total_energy_ev", "dipole_mag_d", "q_absmean")
_EMBEDDING_START = 0.15  # standard deviation


class Model(Architecture):
    """Reads two elements and their distance, or the elements alone and finds the distance.

    Orbitals of axial symmetry σ, π and δ do not mix: the matrix falls into blocks of 6, 4 and 2
    orbitals, of which the last two count twice. Both atoms' p and d orbitals are oriented from
    their own atom to the other one, so that the exchange of the atoms exchanges rows and columns.
    Targets that it does not know by name are read off the network's last layer and some of the
    others.
    """

    outputs: int = 1
    hidden: int = 256
    layers: int = 2
    embedding: int = 48
    gaussians: int = field(16, at_least=2)
    cutoff: float = field(6.0, above=0)  # Å, where the last Gaussian stands; atoms see beyond
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
        energies = [n for n in ("total_energy_ev", "mermin_free_energy_ev") if n in self.targets]
        if energies:
            each = self._atomic_energies(structures, labels, energies[0])
            found["constants"] = {"atomic_energy": each.astype(np.float32)}
        return found

    def _atomic_energies(
        self, structures: Batch, labels: Float[np.ndarray, "rows outputs"], name: str
    ) -> Float[np.ndarray, " elements"]:
        """One energy an element, eV: of its free atom where it is described, else fitted."""
        if self.described:
            return _shells.of(self.basis).energy
        numbers = np.asarray(structures.atomic_numbers)
        column = labels[:, self.targets.index(name), None].astype(np.float64)
        constants, mean = additive_constants(numbers, column)
        each = np.where(np.isin(np.arange(len(constants)), numbers), mean / 2, 0)
        return (constants[:, 0] + each)[: self.max_atomic_number + 1]

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        """A Batch of B pairs → [B, outputs]."""
        numbers, distance = pair(batch)
        if not self.reads_positions:
            radii = jnp.asarray(_covalent_radii(self.max_atomic_number), jnp.float32)
            distance = radii[numbers].sum(axis=1, keepdims=True)
        distance = jnp.maximum(distance, _LEAST_ANG)
        start = nn.initializers.normal(_EMBEDDING_START)
        e = self._of_elements(numbers, self.embedding, "elements", start)
        reach = _radial.gaussians(distance[:, 0], self.gaussians, self.cutoff)
        reach = jnp.concatenate([reach, distance / 3, 1 / distance], axis=-1)
        reach = jnp.broadcast_to(reach[:, None], (*numbers.shape, reach.shape[-1]))
        h = jnp.concatenate(
            [e, e[:, ::-1], reach], axis=-1
        )  # [B, 2, ·], of each atom and the other
        h = nn.silu(Dense(self.hidden, name="in")(h))
        for layer in range(self.layers - 1):
            h = h + nn.silu(Dense(self.hidden, name=f"layer_{layer}")(h))

        length = distance[:, 0]
        if not self.reads_positions:
            start = nn.initializers.zeros
            longer = Dense(1, kernel_init=start, name="length")(h).sum(axis=(1, 2))
            length *= jnp.exp(_LARGEST_STRETCH * jnp.tanh(longer))
        known = self._known(numbers, length, h, batch)
        names = self.targets or ("",) * self.outputs
        count = sum(name not in known for name in names)
        if count:
            read = jnp.stack([known[name] for name in _READ], axis=-1) / 10
            read = jnp.concatenate([h.sum(axis=1), read], axis=-1)
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

    def _of_elements(
        self, numbers: jax.Array, features: int, name: str, start: nn.initializers.Initializer
    ) -> Float[Array, "batch 2 features"]:
        """What the network holds of each element, or makes of what is known of it."""
        if not self.described:
            embed = nn.Embed(self.max_atomic_number + 1, features, embedding_init=start, name=name)
            return embed(numbers)
        return _Described(features, start, name=name)(numbers)

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

        atoms = self._of_elements(numbers, 3, "atoms", nn.initializers.zeros)  # [B, 2, 3]
        # The repulsion of GFN2-xTB, of effective charges and steepnesses, times a correction.
        cores = 2 * jnp.exp(atoms[..., 0])
        steepness = jnp.exp(atoms[..., 1].sum(axis=1) / 2) * (distance / BOHR_ANG) ** 1.5
        repulsion = cores.prod(axis=1) * _COULOMB_EV_ANG / distance
        # Bounded: one step that overshoots would make it infinite, and end the training.
        screen = _LARGEST_SCREEN * jnp.tanh(screen.sum(axis=1) / _LARGEST_SCREEN)
        repulsion = repulsion * jnp.exp(screen - steepness)

        constants = self.variable("constants", "atomic_energy", jnp.zeros, rows).value
        total = (constants[numbers] + atoms[..., 2] + energy).sum(axis=1)
        total += self.param("band_share", nn.initializers.zeros, ()) * band
        gap = jnp.maximum(lumo - homo, 0)
        along = distance
        if self.reads_positions:
            along = batch.positions[:, 1, 2] - batch.positions[:, 0, 2]
        size = jnp.abs(charge)
        return {
            **formulas.of_levels(homo, lumo, gap, jnp.maximum(gap, _LEAST_GAP_EV)),
            "fermi_level_ev": (homo + lumo) / 2,
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

    def _levels(
        self, numbers: jax.Array, h: jax.Array, basis: _shells.Shells
    ) -> tuple[Float[Array, "orbitals batch"], Float[Array, "orbitals batch"]]:
        """Levels in eV, ascending, and which part of each is the first atom's.

        Args:
          numbers: [B, 2].
          h: [B, 2, hidden].
          basis: of the elements.
        """
        present = jnp.asarray(basis.present)[numbers]  # [B, 2, 3]
        free = self._of_elements(numbers, 3, "shells", nn.initializers.normal(0.3))
        levels = jnp.asarray(basis.levels, jnp.float32)[numbers]  # [B, 2, 3]
        onsite = levels + _SPREAD_EV * free
        entries = Dense(2 * (9 + 4 + 1), name="matrix")(h)
        found, first = [], []
        for m, part in enumerate(jnp.split(entries, (18, 26), axis=-1)):  # σ, π, δ
            n = 3 - m  # shells of l ≥ m, an orbital each
            there, diagonal = present[..., m:], onsite[..., m:]
            own, between = jnp.moveaxis(part.reshape(*part.shape[:2], 2, n, n), 2, 0)
            both = there[..., :, None] & there[..., None, :]
            own = jnp.where(both, (own + own.swapaxes(-1, -2)) / 2, 0)
            own += jnp.eye(n) * jnp.where(there, diagonal, _ABSENT_EV)[..., None]
            between = between[:, 0] + between[:, 1].swapaxes(-1, -2)  # [B, n, n]
            between = jnp.where(there[:, 0, :, None] & there[:, 1, None, :], between, 0)
            matrix = jnp.block(
                [[own[:, 0], between], [between.swapaxes(-1, -2), own[:, 1]]]
            )  # [B, 2n, 2n]
            matrix = matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))
            values, vectors = eigh(jnp.moveaxis(matrix, 0, -1))
            times = 1 if m == 0 else 2
            found += [values] * times
            first += [jnp.sum(vectors[:n] ** 2, axis=0)] * times
        levels, part = jnp.concatenate(found), jnp.concatenate(first)
        order = jnp.argsort(levels, axis=0)
        levels, part = (jnp.take_along_axis(each, order, axis=0) for each in (levels, part))
        return levels, part


@functools.cache
def _covalent_radii(last: int) -> Float[np.ndarray, " elements"]:
    """Return the covalent radii (Å) of the elements up to `last` by Z; 0 at 0."""
    found = [elements.element(z).covalent_radius_ang for z in range(1, last + 1)]
    return np.array([0.0, *found])


class _Described(nn.Module):
    """A network of the elements' properties, bounded: of elements unlike any seen, too."""

    features: int
    start: nn.initializers.Initializer
    hidden: int = 64

    @nn.compact
    def __call__(self, numbers: jax.Array) -> jax.Array:
        known = jnp.asarray(_shells.properties(), jnp.float32)[numbers]
        h = nn.silu(Dense(self.hidden, name="in")(known))
        return jnp.tanh(nn.Dense(self.features, kernel_init=self.start, name="out")(h))


def _odd(values: Float[Array, "batch 2"]) -> Float[Array, " batch"]:
    """What changes its sign with the order of the atoms."""
    return values[:, 0] - values[:, 1]
