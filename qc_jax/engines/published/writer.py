"""A table as a file in the format of the published `dataset_combined.npz`."""

import collections
import os
from typing import Any

import numpy as np

from qc_jax import canvas
from qc_jax.canvas import FEATURES, SOUND_RESIDUAL
from qc_jax.chem import elements
from qc_jax.chem.units import EBOHR_DEBYE, HARTREE_EV
from qc_jax.data import files, labels
from qc_jax.data.table import PairTable
from qc_jax.engines.published.columns import LABELS
from qc_jax.errors import InputError

_CHARGE_DECIMALS = 4  # charges of a sound pair add up to a whole number within 1e-5 e


def write(table: PairTable, path: str | os.PathLike) -> None:
    """Write the authors' format, whole or not at all: their loader reads it unchanged.

    A label that the table does not have, or that is undefined, is None. Labels that follow from a
    table are filled in: total charge, number of atoms, the dipole's components, metal_like (the gap
    is 0) and no_virtual_in_basis (there is no LUMO). The metadata are in atomic units; what is not
    known there is NaN. The format has no place for provenance, populations by orbital and forces.

    Args:
      table: what to write.
      path: of the file.

    Raises:
      InputError: a pair stands in several rows (the format names a row by its pair), a row's canvas
        or its electrons are not known, there is no row, or the file cannot be written.
    """
    if not len(table):
        raise InputError(f"{os.fspath(path)}: the table has no rows, and such a file none to read")
    name, times = collections.Counter(table.names.tolist()).most_common(1)[0]
    if times > 1:
        raise InputError(
            f"{os.fspath(path)}: {name} stands in {times} rows of the table; the published format "
            "has one row a pair"
        )
    features = canvas.features(table)
    known = np.isfinite(
        features if table.canvases is None else table.canvases.reshape(len(table), -1)
    )
    if not known.all():
        row = int(np.argmin(known.all(axis=1)))
        raise InputError(
            f"{os.fspath(path)}: the canvas of {table.names[row]} is not known: its populations "
            "are not, and no canvas of it is stored"
        )
    images = canvas.canvases(table)
    electrons = _electrons(table, features)
    if not np.isfinite(electrons).all():
        row = int(np.argmin(np.isfinite(electrons).all(axis=1)))
        raise InputError(
            f"{os.fspath(path)}: the electrons of {table.names[row]} are not known: neither its "
            "populations are, nor is its stored canvas one of a pair (residual above "
            f"{SOUND_RESIDUAL:g})"
        )
    arrays: dict[str, Any] = {
        "images": np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32),
        "geometries": np.concatenate(
            [table.positions, electrons[..., None]], axis=-1, dtype=np.float32
        ),
        "elements": np.array(
            [[elements.element(int(z)).symbol for z in pair] for pair in table.atomic_numbers]
        ),
        # Lists of dicts, which NumPy pickles: that is the format.
        "labels": _labels(table),
        "metadata": _metadata(table),
        "pair_names": np.asarray(table.names),
    }
    files.write_npz(path, arrays)


def _electrons(table: PairTable, features: np.ndarray) -> np.ndarray:
    """Return [N, 2]: the population of each atom, else that of its canvas."""
    columns = [[feature.name for feature in FEATURES].index(f"population_{i}") for i in (0, 1)]
    known = table.populations.sum(axis=-1)
    return np.where(np.isnan(known), features[:, columns], known)


def _labels(table: PairTable) -> list[dict[str, Any]]:
    columns = _derived(table) | dict(table.targets) | dict(table.extras)
    names = [*LABELS, *(name for name in columns if name not in LABELS)]
    values = {name: columns[name].tolist() for name in names if name in columns}
    return [
        {name: _label(values[name][row]) if name in values else None for name in names}
        for row in range(len(table))
    ]


def _label(value: float | str) -> float | str | None:
    if isinstance(value, str):
        return value or None
    return None if np.isnan(value) else float(value)


def _derived(table: PairTable) -> dict[str, np.ndarray]:
    """Return the labels beside the targets that follow from any table."""
    derived = {
        "total_charge": table.charges.sum(axis=-1).round(_CHARGE_DECIMALS) + 0.0,
        "n_atoms": np.full(len(table), 2.0),
        "dipole_x_d": table.dipole[:, 0],
        "dipole_y_d": table.dipole[:, 1],
        "dipole_z_d": table.dipole[:, 2],
    }
    if {"e_homo_ev", "e_lumo_ev", "e_g_ev"} <= table.targets.keys():
        homo, gap = table.targets["e_homo_ev"], table.targets["e_g_ev"]
        known = np.isfinite(homo)
        full = np.isnan(table.targets["e_lumo_ev"])
        derived["metal_like"] = labels.metal_like(homo, gap, full)
        derived["no_virtual_in_basis"] = np.where(known, full, np.nan)
    return derived


def _metadata(table: PairTable) -> list[dict[str, Any]]:
    unknown = np.full(len(table), np.nan)
    total_charge = table.extras.get("total_charge", _derived(table)["total_charge"])
    lengths = np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=-1)
    fermi, energy = (
        (np.asarray(table.targets.get(name, unknown)) / HARTREE_EV).tolist()
        for name in ("fermi_level_ev", "total_energy_ev")
    )
    dipoles = (np.asarray(table.dipole, np.float64) / EBOHR_DEBYE).tolist()
    return [
        {
            "pair_name": str(table.names[row]),
            "total_charge": float(total_charge[row]),
            "fermi_level": fermi[row],
            "total_energy": energy[row],
            "dipole_moment": tuple(dipoles[row]),
            "num_atoms": 2,
            "bond_length": np.float64(lengths[row]),  # as in the published file
        }
        for row in range(len(table))
    ]
