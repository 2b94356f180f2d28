"""crysmtm: TiO2 at many temperatures as coordinates, images, text and nine labels, for TFDS."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from data_builders.array_record import ArrayRecordBuilder
from qc_jax.data import crysmtm, xyz
from qc_jax.data.targets import target
from qc_jax.errors import InputError

_LABELS_FILE = "labels.csv"


def _label(name: str) -> tfds.features.Tensor:
    """A label: bytes keep all digits, of which a total energy needs more than float32 has."""
    doc = f"{target(name).unit}: {target(name).definition}."
    bytes_ = tfds.features.Encoding.BYTES
    return tfds.features.Tensor(shape=(), dtype=np.float64, doc=doc, encoding=bytes_)


class Builder(ArrayRecordBuilder):
    """Builder of `crysmtm`; see its README for files, features and splits."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 (TFDS reads a plain attribute)
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Extract CrysMTM (DOI 10.6084/m9.figshare.29497604) so that this directory holds `labels.csv` and
    the folders `anatase`, `brookite` and `rutile` with files like anatase/300K/xyz/rot_0.xyz.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(doc="Like anatase_300K_12."),
                    "phase": tfds.features.ClassLabel(names=list(crysmtm.PHASES)),
                    "temperature": tfds.features.Scalar(np.int32, doc="K."),
                    "rotation": tfds.features.Scalar(np.int32, doc="Its number."),
                    "atomic_numbers": tfds.features.Tensor(shape=(None,), dtype=np.int32),
                    "positions": tfds.features.Tensor(shape=(None, 3), dtype=np.float32, doc="Å."),
                    "cell": tfds.features.Tensor(
                        shape=(3, 3),
                        dtype=np.float32,
                        doc="Å, a lattice vector a row; zeros where the file has no Lattice.",
                    ),
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "text": tfds.features.Text(doc="The description, as it is published."),
                    **{name: _label(name) for name in crysmtm.PARAMETERS.values()},
                }
            ),
            homepage="https://github.com/KurbanIntelligenceLab/CrysMTM",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        manual = dl_manager.manual_dir
        if not (manual / _LABELS_FILE).exists():
            raise AssertionError(
                f"Manual directory {manual} has no {_LABELS_FILE}. "
                f"Instructions:\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        labels, others = crysmtm.read_labels(manual / _LABELS_FILE)
        samples, left_out = crysmtm.find(manual, labels)
        self.info.metadata.update(
            provenance={
                "samples": len(samples),
                "labelled": len(labels),
                "left_out": left_out,
                "other_parameters": others,
            }
        )
        parts: dict[str, list[crysmtm.Sample]] = {}
        for sample in samples:
            parts.setdefault(sample.part, []).append(sample)
        return {part: self._generate_examples(some, labels) for part, some in parts.items()}

    def _generate_examples(
        self, samples: list[crysmtm.Sample], labels: crysmtm.Labels
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for sample in samples:
            structure = xyz.read(sample.path("xyz"))
            cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
            yield (
                sample.name,
                {
                    "name": sample.name,
                    "phase": sample.phase,
                    "temperature": sample.temperature,
                    "rotation": sample.rotation,
                    "atomic_numbers": structure.atomic_numbers,
                    "positions": structure.positions.astype(np.float32),
                    "cell": cell.astype(np.float32),
                    "image": _image(sample.path("images")),
                    "text": sample.path("text").read_text(encoding="utf-8"),
                    **labels[sample.phase, sample.temperature],
                },
            )


def _image(path: Any) -> Any:
    """The picture as RGB, without the transparency that it may have."""
    try:
        with PIL.Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError) as error:  # PIL calls a damaged chunk a syntax error
        raise InputError(f"{path}: not an image, or damaged: {error}") from error
