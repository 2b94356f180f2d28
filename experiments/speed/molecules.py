"""Random small molecules as a TFDS dataset of QM9's size: what streaming is tried on."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from qc_jax.data.stream import Stream
from qc_jax.datasets.array_record import ArrayRecordBuilder

ATOMS = 29  # of the largest molecule of QM9
_ELEMENTS = np.array([1, 6, 7, 8, 9])
_SHARES = (0.51, 0.35, 0.06, 0.078, 0.002)  # about QM9's
_SPACING = 1.4  # Å, between places of a grid, from which atoms are moved a little


class RandomMolecules(ArrayRecordBuilder):
    """Random atoms at distances like those of bonds, with a smooth made-up energy."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, molecules: int = 130_000, **kwargs: Any):
        self._molecules = molecules
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Random atoms; nothing to learn chemistry from.",
            features=tfds.features.FeaturesDict(
                {
                    "atomic_numbers": tfds.features.Tensor(shape=(None,), dtype=np.int32),
                    "positions": tfds.features.Tensor(shape=(None, 3), dtype=np.float32),
                    "energy": np.float32,
                }
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        rng = np.random.default_rng(0)
        grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)
        near = np.argsort(np.linalg.norm(grid - grid.mean(axis=0), axis=1))
        for row in range(self._molecules):
            atoms = int(np.clip(rng.normal(18, 3), 3, ATOMS))
            positions = _SPACING * grid[near[:atoms]] + rng.uniform(-0.2, 0.2, (atoms, 3))
            numbers = rng.choice(_ELEMENTS, size=atoms, p=_SHARES)
            spread = np.linalg.norm(positions - positions.mean(axis=0), axis=1).sum()
            yield (
                row,
                {
                    "atomic_numbers": numbers.astype(np.int32),
                    "positions": positions.astype(np.float32),
                    "energy": np.float32(numbers.sum() - 0.1 * spread),
                },
            )


def open_stream(data_dir: str, molecules: int) -> Stream:
    """The molecules as a stream, written to `data_dir` first where they are not there yet."""
    folder = os.path.join(data_dir, str(molecules))
    builder = RandomMolecules(molecules=molecules, data_dir=folder)
    builder.download_and_prepare()
    source = builder.as_data_source(split="train")
    # Labels are few; what is large stays where it is.
    labels = np.array([[record["energy"]] for record in source], np.float32)
    return Stream(source, dict, labels, ATOMS)
