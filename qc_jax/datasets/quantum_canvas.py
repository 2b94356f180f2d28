"""quantum_canvas: two-atom quantum systems with their canvases, as a TFDS dataset."""

import collections
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from qc_jax.data import splits
from qc_jax.data.table import PairTable, open_table
from qc_jax.datasets import curves
from qc_jax.datasets.array_record import ArrayRecordBuilder
from qc_jax.datasets.curves import CurvesConfig
from qc_jax.datasets.features import examples, features
from qc_jax.dftb.parameters import covered_symbols
from qc_jax.engines import published

SPLIT_SEED = 42  # of the published split
_DENSITIES = "_densities"  # ends the names of configurations that have them
_FEW = ("H", "C", "N", "O", "F")


class Builder(ArrayRecordBuilder):
    """Build `quantum_canvas`; its README has features, splits and caveats."""

    name = "quantum_canvas"
    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {  # noqa: RUF012 (TFDS reads a plain attribute)
        "1.2.0": "Configurations ptbp, ptbp_exact and ptbp_curves are computed by qc_jax; the "
        "authors' file is published.",
        "1.1.0": "Feature `row`; configurations ptbp and gfn2_xtb_curves.",
        "1.0.0": "Initial release.",
    }
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(
            name="ptbp",
            description="The published pairs of 75 elements recomputed: tight binding, PTBP; made "
            "from the installed qc_jax.",
        ),
        tfds.core.BuilderConfig(
            name="gfn2_xtb",
            description="GFN2-xTB pairs of 73 elements, relaxed; made from the installed qc_jax.",
        ),
        tfds.core.BuilderConfig(
            name="ptbp_exact",
            description="As ptbp, with converged atoms and integrals; made from the installed "
            "qc_jax.",
        ),
        tfds.core.BuilderConfig(
            name="ptbp_densities",
            description="ptbp, with the numbers that densities of its orbitals are drawn from; "
            "computed when built, in minutes.",
        ),
        tfds.core.BuilderConfig(
            name="published",
            description="The authors' own file: DFTB+ (PTBP) pairs of 75 elements.",
        ),
        CurvesConfig(
            name="gfn2_xtb_curves",
            description="Bond-length scans of the GFN2-xTB pairs of 73 elements, with forces: "
            "each at 40 distances from 0.7 to 2.5 of its relaxed one; computed when built.",
        ),
        CurvesConfig(
            name="gfn2_xtb_curves_hcnof",
            description="The same of the 15 pairs among H, C, N, O and F; built in seconds.",
            symbols=_FEW,
        ),
        CurvesConfig(
            name="ptbp_curves",
            description="Bond-length scans of the PTBP pairs of 75 elements, with forces: each at "
            "40 distances from 0.7 to 2.5 of its relaxed one; computed when built, in minutes.",
            symbols=tuple(covered_symbols()),
            engine_name="dftb",
            together=True,
        ),
        CurvesConfig(
            name="ptbp_curves_hcnof",
            description="The same of the 15 pairs among H, C, N, O and F.",
            symbols=_FEW,
            engine_name="dftb",
            together=True,
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "ptbp"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Only the config `published` needs this: place the published file `{published.PUBLISHED_FILE}` of
    QuantumCanvas in this directory, under that name. It is on Zenodo, DOI {published.PUBLISHED_DOI}
    (33.5 MB, CC-BY-4.0, md5 {published.PUBLISHED_MD5}). A file of your own in that
    format, such as `python -m experiments.export --format=published` writes, will do as well.
    The other configs need no download.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features(
                curves=isinstance(self.builder_config, CurvesConfig), densities=self._with_densities
            ),
            homepage="https://arxiv.org/abs/2512.01519",
            metadata=tfds.core.MetadataDict(),
        )

    @property
    def _with_densities(self) -> bool:
        return self.builder_config.name.endswith(_DENSITIES)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        config = self.builder_config
        if isinstance(config, CurvesConfig):
            self._answers = curves.Answers(dl_manager.download_dir, config)
            self._answers.fill()
            return {
                part: self._generate_examples(curves.pipeline(config, self._answers, names))
                for part, names in config.split(SPLIT_SEED).items()
            }
        table = self._table(dl_manager)
        # Where the numbers come from travels with the records, in metadata.json.
        self.info.metadata.update(
            provenance=dict(table.provenance), fingerprint=table.fingerprint()
        )
        records = list(examples(table, densities=self._with_densities))
        times = collections.Counter(table.names.tolist())
        # A file may name a pair twice; TFDS wants a key of its own for each record.
        keys = [
            name if times[name] == 1 else f"{name} {row}"
            for row, name in enumerate(table.names.tolist())
        ]
        split = splits.random_split(len(table), SPLIT_SEED)
        return {
            part: self._generate_examples([(keys[row], records[row]) for row in np.sort(rows)])
            for part, rows in split.parts().items()
        }

    def _generate_examples(self, records: Any) -> Any:
        """Return (key, record) pairs, or a Beam transform that makes them."""
        return records

    def _process_pipeline_result(self, pipeline_result: Any) -> None:
        config = self.builder_config
        names = [name for part in config.split(SPLIT_SEED).values() for name in part]
        self.info.metadata.update(
            provenance=config.provenance() | {"left_out": self._answers.left_out(sorted(names))}
        )

    def _table(self, dl_manager: Any) -> PairTable:
        if self.builder_config.name != "published":
            return open_table(self.builder_config.name.removesuffix(_DENSITIES))
        path = dl_manager.manual_dir / published.PUBLISHED_FILE
        if not path.exists():
            raise AssertionError(
                f"Manual directory {path.parent} has no {published.PUBLISHED_FILE}. "
                f"Instructions:\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        return published.read(path)
