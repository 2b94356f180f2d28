"""Trajectories of one molecule as `.npz` files: those of sGDML and of the revised MD17.

The files of sGDML (S. Chmiela et al., Sci. Adv. 3, e1603015, 2017) hold `E`, `F`, `R` and `z`,
those of the revised MD17 (A. S. Christensen, O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1,
045018, 2020) `energies`, `forces`, `coords` and `nuclear_charges`; both in kcal/mol and Å.
"""

import collections
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element
from qc_jax.chem.units import KCAL_PER_MOL_EV
from qc_jax.data import files, splits
from qc_jax.data.atoms import SAME_PLACE_ANG
from qc_jax.data.names import DataName
from qc_jax.data.structures import Structures
from qc_jax.datasets.array_record import ATOMS, ArrayRecordBuilder, prepared_builder, records
from qc_jax.errors import InputError, choose, plain

# The keys of energies, forces, positions and atomic numbers.
LAYOUTS = {
    "original": ("E", "F", "R", "z"),
    "revised": ("energies", "forces", "coords", "nuclear_charges"),
}
# What sGDML writes of its units, where it does.
_WHAT = "an .npz of a trajectory"
_UNITS = {"e_unit": ("kcal/mol",), "r_unit": ("Ang", "Angstrom")}


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """N frames of n atoms.

    Attributes:
      atomic_numbers: [n] int32.
      positions: [N, n, 3] Å.
      energies: [N] eV, float64.
      forces: [N, n, 3] eV/Å.
      layout: one of `LAYOUTS`.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    layout: str

    def __len__(self) -> int:
        return len(self.energies)

    @property
    def formula(self) -> str:
        """Return it as `formula_of`."""
        return formula_of(self.atomic_numbers)


def formula_of(atomic_numbers: np.ndarray) -> str:
    """Return symbols and how often they are there, in alphabetical order, like 'C2H6O'."""
    counts = collections.Counter(element(int(number)).symbol for number in atomic_numbers)
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in sorted(counts.items()))


def read(path: str | os.PathLike, layout: str | None = None) -> Trajectory:
    """Return the frames of a file; nothing in it is unpickled.

    Args:
      path: of the `.npz`.
      layout: what it is expected to be, one of `LAYOUTS`; None takes either.

    Raises:
      InputError: it is not such a file, is damaged, its shapes do not fit each other, a number in
        it is not finite, or it tells of other units.
    """
    name = os.fspath(path)
    with files.reading_npz(name, _WHAT) as file:
        found = _layout(name, list(file), layout)
        for key, known in _UNITS.items():
            unit = plain(file[key]) if key in file else known[0]
            if unit not in known:
                raise InputError(f"{name}: expected {key} {known[0]}, got {unit!r}")
        arrays = [file[key] for key in LAYOUTS[found]]
    energies, forces, positions, numbers = _checked(name, LAYOUTS[found], arrays)
    return Trajectory(
        numbers, positions, energies * KCAL_PER_MOL_EV, forces * KCAL_PER_MOL_EV, found
    )


def layout_of(path: str | os.PathLike) -> str:
    """Return which of `LAYOUTS` a file has.

    Raises:
      InputError: as `read`.
    """
    with files.reading_npz(path, _WHAT) as file:
        return _layout(os.fspath(path), list(file), None)


def write(path: str | os.PathLike, trajectory: Trajectory, **extra: Any) -> None:
    """Write a file that `read` takes, in the trajectory's layout, positions and forces as float32.

    Args:
      path: of the `.npz`.
      trajectory: the frames.
      **extra: further arrays or words of the file, like `theory`.
    """
    arrays = (
        trajectory.energies / KCAL_PER_MOL_EV,
        (trajectory.forces / KCAL_PER_MOL_EV).astype(np.float32),
        trajectory.positions.astype(np.float32),
        trajectory.atomic_numbers.astype(np.uint8),
    )
    named: dict[str, Any] = dict(zip(LAYOUTS[trajectory.layout], arrays, strict=True))
    files.write_npz(path, named | extra)


def _layout(name: str, keys: list[str], expected: str | None) -> str:
    """Return which layout the keys are."""
    if expected is not None:
        choose("layout", expected, LAYOUTS)
    complete = [layout for layout, wanted in LAYOUTS.items() if set(wanted) <= set(keys)]
    if not complete or (expected is not None and expected not in complete):
        wanted = [expected] if expected is not None else list(LAYOUTS)
        listed = " or ".join(f"{', '.join(LAYOUTS[each])} ({each})" for each in wanted)
        raise InputError(f"{name}: expected arrays {listed}, got {', '.join(sorted(keys)) or '-'}")
    return expected or complete[0]


def _checked(name: str, keys: tuple[str, ...], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return the arrays of a file as energies, forces, positions and atomic numbers."""
    for key, array in zip(keys, arrays, strict=True):
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name}: {key}: expected numbers, got {array.dtype}")
    energies, forces, positions, numbers = arrays
    if positions.ndim != 3 or positions.shape[2] != 3 or 0 in positions.shape:
        raise InputError(f"{name}: {keys[2]}: expected shape (N, n, 3), got {positions.shape}")
    frames, atoms = positions.shape[:2]
    if forces.shape != positions.shape:
        raise InputError(f"{name}: {keys[1]}: expected {positions.shape}, got {forces.shape}")
    if energies.size != frames or energies.ndim not in (1, 2):
        raise InputError(f"{name}: {keys[0]}: expected ({frames},), got {energies.shape}")
    if numbers.shape != (atoms,):
        raise InputError(f"{name}: {keys[3]}: expected ({atoms},), got {numbers.shape}")
    if (numbers != numbers.round()).any() or numbers.min() < 1 or numbers.max() > MAX_ATOMIC_NUMBER:
        expected = f"whole numbers from 1 to {MAX_ATOMIC_NUMBER}"
        raise InputError(f"{name}: {keys[3]}: expected {expected}, got {numbers}")
    energies = energies.reshape(frames).astype(np.float64)
    for key, array in zip(keys, (energies, forces, positions), strict=False):
        bad = ~np.isfinite(array.reshape(frames, -1)).all(axis=1)
        if bad.any():
            raise InputError(
                f"{name}: {key}: frame {np.argmax(bad)} is not finite ({bad.sum()} of {frames})"
            )
    for one, other in itertools.combinations(range(atoms), 2):
        apart = np.abs(positions[:, one] - positions[:, other]).max(axis=1)
        if not apart.min() > SAME_PLACE_ANG:
            raise InputError(
                f"{name}: {keys[2]}: frame {np.argmin(apart)}: atoms {one} and {other} stand at "
                "one place"
            )
    return [energies, forces.astype(np.float64), positions.astype(np.float64), numbers.astype("i4")]


def split(rows: np.ndarray, seed: int) -> splits.Split:
    """Split by the published sizes: 950 random frames train, 50 validate, all others test.

    Of fewer than 2,000 frames 47.5 % and 2.5 % do, so that half of them test.
    """
    frames = len(rows)
    train, validation = (950, 50) if frames >= 2000 else (frames * 19 // 40, frames // 40)
    order = splits.torch_permutation(frames, seed)
    return splits.Split(
        train=order[:train],
        validation=order[train : train + validation],
        test=order[train + validation :],
        description=f"md17: of {frames} frames {train} random ones train, {validation} validate, "
        "the others test",
    )


# The molecules, their composition, and how the files of either collection call them; None where a
# collection has none.
MOLECULES: dict[str, tuple[str, str | None, str | None]] = {
    "aspirin": ("C9H8O4", "md17_aspirin", "rmd17_aspirin"),
    "azobenzene": ("C12H10N2", "azobenzene_dft", "rmd17_azobenzene"),
    "benzene": ("C6H6", "md17_benzene2017", "rmd17_benzene"),
    "ethanol": ("C2H6O", "md17_ethanol", "rmd17_ethanol"),
    "malonaldehyde": ("C3H4O2", "md17_malonaldehyde", "rmd17_malonaldehyde"),
    "naphthalene": ("C10H8", "md17_naphthalene", "rmd17_naphthalene"),
    "paracetamol": ("C8H9NO2", "paracetamol_dft", "rmd17_paracetamol"),
    "salicylic_acid": ("C7H6O3", "md17_salicylic", "rmd17_salicylic"),
    "toluene": ("C7H8", "md17_toluene", "rmd17_toluene"),
    "uracil": ("C4H4N2O2", "md17_uracil", "rmd17_uracil"),
}


@dataclasses.dataclass(eq=False)
class TrajectoryConfig(tfds.core.BuilderConfig):
    """One trajectory.

    Attributes:
      file: its name in the manual directory, without `.npz`.
      layout: of the file, one of `LAYOUTS`.
      formula: of the molecule, symbols in alphabetical order; '' takes any.
    """

    file: str = ""
    layout: str = "original"
    formula: str = ""


def _configs() -> Iterator[TrajectoryConfig]:
    for molecule, (formula, *names) in MOLECULES.items():
        for layout, file in zip(LAYOUTS, names, strict=True):
            if file is not None:
                yield TrajectoryConfig(
                    name=molecule if layout == "original" else f"revised_{molecule}",
                    description=f"{molecule} ({formula}), {layout} MD17.",
                    file=file,
                    layout=layout,
                    formula=formula,
                )


class Builder(ArrayRecordBuilder):
    """Build `md17`; its README has files, features and splits."""

    name = "md17"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 (TFDS reads a plain attribute)
    BUILDER_CONFIGS = list(_configs())  # noqa: RUF012
    DEFAULT_BUILDER_CONFIG_NAME = "ethanol"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Place the trajectory's .npz file in this directory, under its published name: of the original
    MD17 like `md17_ethanol.npz`, from http://www.quantum-machine.org/gdml/data/npz/; of the revised
    MD17 like `rmd17_ethanol.npz`, from the archive rmd17.tar.bz2, DOI 10.6084/m9.figshare.12672038.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "row": tfds.features.Scalar(np.int32, doc="Frame of the file, from 0."),
                    "atomic_numbers": tfds.features.Tensor(
                        shape=(None,), dtype=np.int32, doc="Atomic numbers."
                    ),
                    "positions": tfds.features.Tensor(shape=(None, 3), dtype=np.float32, doc="Å."),
                    "forces": tfds.features.Tensor(
                        shape=(None, 3), dtype=np.float32, doc="eV/Å, on each atom."
                    ),
                    "total_energy_ev": tfds.features.Tensor(
                        shape=(),
                        dtype=np.float64,
                        doc="eV.",
                        # Whatever is not written as bytes TFDS keeps in float32.
                        encoding=tfds.features.Encoding.BYTES,
                    ),
                }
            ),
            homepage="http://www.sgdml.org",
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        config = self.builder_config
        path = dl_manager.manual_dir / f"{config.file}.npz"
        if not path.exists():
            raise AssertionError(
                f"Manual directory {path.parent} has no {path.name}. "
                f"Instructions:\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        frames = read(path, config.layout)
        if config.formula and frames.formula != config.formula:
            raise InputError(
                f"{path}: expected {config.name}, {config.formula}, got {frames.formula}"
            )
        self.info.metadata.update(
            provenance={
                "file": path.name,
                "bytes": path.stat().length,
                "sha256": files.sha256(path),
                "layout": frames.layout,
                "frames": len(frames),
            }
        )
        return {"train": self._generate_examples(frames)}

    def _generate_examples(self, frames: Trajectory) -> Iterator[tuple[int, dict[str, Any]]]:
        positions = frames.positions.astype(np.float32)
        forces = frames.forces.astype(np.float32)
        for row in range(len(frames)):
            yield (
                row,
                {
                    "row": row,
                    "atomic_numbers": frames.atomic_numbers,
                    "positions": positions[row],
                    "forces": forces[row],
                    "total_energy_ev": frames.energies[row],
                },
            )


def open_structures(name: DataName, data_dir: str) -> Structures:
    """Return the frames of a file, which TFDS prepares in `data_dir` on first use.

    Raises:
      InputError: as `read`.
    """
    file = pathlib.Path(name.path)
    if file.suffix != ".npz":
        raise InputError(f"md17:{file}: expected an .npz")
    config = TrajectoryConfig(name="file", file=file.stem, layout=layout_of(file))
    made = prepared_builder(Builder, data_dir, str(file.parent), [file], config=config)
    rows = records(made, ("train",), (*ATOMS, "forces", "total_energy_ev"))
    energies = np.array([record["total_energy_ev"] for record in rows])
    atoms = len(rows[0]["atomic_numbers"])
    return Structures(
        names=np.array([f"{file.stem}_{row}" for row in range(len(rows))]),
        source=rows,
        read=lambda record: {name: record[name] for name in (*ATOMS, "forces")},
        targets={"total_energy_ev": energies},
        sizes=np.full(len(rows), atoms),
        split=split,
        provenance=made.info.metadata["provenance"],
    )
