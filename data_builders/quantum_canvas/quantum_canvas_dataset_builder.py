"""quantum_canvas: two-atom quantum systems with their canvases, as a TFDS dataset."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_builders.array_record import ArrayRecordBuilder
from qc_jax import canvas
from qc_jax.data import splits, targets
from qc_jax.data.table import PairTable, open_table
from qc_jax.errors import InputError

SPLIT_SEED = 42  # of the published split
PTBP_FILE = "dataset_combined.npz"


def _tensor(shape: tuple[int, ...], dtype: Any, doc: str, **kwargs: Any) -> tfds.features.Tensor:
    return tfds.features.Tensor(shape=shape, dtype=dtype, doc=doc, **kwargs)


def _features() -> tfds.features.FeaturesDict:
    # A name that is also a target would silently hide it; tests compare the two lists.
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(
                doc="Pair like 'Ag_Al': the symbols in alphabetical order, which is the atom order."
            ),
            "atomic_numbers": _tensor((2,), np.int32, "Atomic numbers."),
            "positions": _tensor((2, 3), np.float32, "Å; along z, the first atom below."),
            "populations": _tensor(
                (2, 16),
                np.float32,
                "Mulliken populations in electrons by (l, m): s; p, m = -1 to 1; d, m = -2 to 2; "
                "f, m = -3 to 3. NaN where not known.",
            ),
            "charges": _tensor((2,), np.float32, "Mulliken charges, e."),
            "dipole": _tensor((3,), np.float32, "Debye, from negative to positive charge."),
            "canvas": _tensor(
                (32, 32, 10),
                np.float32,
                "The ten-channel image: row, column, channel.",
                # array_record compresses by itself: 48 MB on disk; with ZLIB 51 MB, and slower.
                encoding=tfds.features.Encoding.BYTES,
            ),
        }
        | {
            target.name: tfds.features.Scalar(
                np.float32, doc=f"{target.unit}: {target.definition}. NaN where undefined."
            )
            for target in targets.TARGETS.values()
        }
    )


class Builder(ArrayRecordBuilder):
    """Builder of `quantum_canvas`; see its README for features, splits and caveats."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 (TFDS reads a plain attribute)
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(
            name="gfn2_xtb",
            description="GFN2-xTB pairs of 73 elements, relaxed; made from the installed qc_jax.",
        ),
        tfds.core.BuilderConfig(
            name="ptbp", description="The published DFTB+ (PTBP) pairs of 75 elements."
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "gfn2_xtb"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Only the config `ptbp` needs this: place the published file `{PTBP_FILE}` of QuantumCanvas
    (arXiv 2512.01519 says where to get it) in this directory, under that name.
    The default config, `gfn2_xtb`, needs no download.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=_features(),
            homepage="https://arxiv.org/abs/2512.01519",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, dict]]]:
        table = self._table(dl_manager)
        # Where the numbers come from travels with the records, in metadata.json.
        self.info.metadata.update(
            provenance=dict(table.provenance), fingerprint=table.fingerprint()
        )
        canvases = np.asarray(canvas.render(canvas.features(table)))
        split = splits.random_split(len(table), SPLIT_SEED)
        return {
            part: self._generate_examples(table, canvases, np.sort(rows))
            for part, rows in split.parts().items()
        }

    def _table(self, dl_manager: Any) -> PairTable:
        if self.builder_config.name != "ptbp":
            return open_table(self.builder_config.name)
        path = dl_manager.manual_dir / PTBP_FILE
        if not path.exists():
            raise AssertionError(
                f"Manual directory {path.parent} has no {PTBP_FILE}. "
                f"Instructions:\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        raise InputError(
            f"{path}: this version of qc_jax cannot read the published file yet; "
            "choose quantum_canvas/gfn2_xtb"
        )

    def _generate_examples(
        self, table: PairTable, canvases: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in rows:
            name = str(table.names[row])
            yield (
                name,
                {
                    "name": name,
                    "atomic_numbers": table.atomic_numbers[row].astype(np.int32),
                    "positions": table.positions[row].astype(np.float32),
                    "populations": table.populations[row].astype(np.float32),
                    "charges": table.charges[row].astype(np.float32),
                    "dipole": table.dipole[row].astype(np.float32),
                    "canvas": canvases[row],
                }
                | {target: np.float32(table.targets[target][row]) for target in targets.TARGETS},
            )
