"""md17: trajectories of small molecules with energies and forces, as a TFDS dataset."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders.array_record import ArrayRecordBuilder
from qc_jax.data import trajectory
from qc_jax.errors import InputError

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
      layout: of the file, one of `trajectory.LAYOUTS`.
      formula: of the molecule, symbols in alphabetical order; '' takes any.
    """

    file: str = ""
    layout: str = "original"
    formula: str = ""


def _configs() -> Iterator[TrajectoryConfig]:
    for molecule, (formula, *files) in MOLECULES.items():
        for layout, file in zip(trajectory.LAYOUTS, files, strict=True):
            if file is not None:
                yield TrajectoryConfig(
                    name=molecule if layout == "original" else f"revised_{molecule}",
                    description=f"{molecule} ({formula}), {layout} MD17.",
                    file=file,
                    layout=layout,
                    formula=formula,
                )


class Builder(ArrayRecordBuilder):
    """Builder of `md17`; see its README for files, features and splits."""

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
        frames = trajectory.read(path, config.layout)
        if config.formula and frames.formula != config.formula:
            raise InputError(
                f"{path}: expected {config.name}, {config.formula}, got {frames.formula}"
            )
        self.info.metadata.update(
            provenance={
                "file": path.name,
                "bytes": path.stat().length,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "layout": frames.layout,
                "frames": len(frames),
            }
        )
        return {"train": self._generate_examples(frames)}

    def _generate_examples(
        self, frames: trajectory.Trajectory
    ) -> Iterator[tuple[int, dict[str, Any]]]:
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
