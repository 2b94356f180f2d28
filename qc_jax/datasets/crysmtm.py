"""CrysMTM as it is published: TiO2 particles of three phases at 0 to 1000 K, turned many ways.

C. Polat, E. Serpedin, M. Kurban, H. Kurban, DOI 10.6084/m9.figshare.29497604. In a folder stand
`labels.csv` (Polymorph, Temperature like 300K, Parameter, Value) and for every phase, temperature
and rotation k `<phase>/<T>K/` with `xyz/rot_k.xyz`, `images/rot_k.png` and `text/rot_k.txt`. The
labels are of a phase at a temperature: all its rotations share them.
"""

import collections
import hashlib
import io
import math
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from qc_jax.data import files, splits
from qc_jax.data.atoms import read_structure
from qc_jax.data.names import DataName
from qc_jax.data.structures import SplitRule, Structures
from qc_jax.data.targets import target
from qc_jax.datasets.array_record import ATOMS, ArrayRecordBuilder, prepared_builder, records
from qc_jax.errors import InputError, choose

PHASES = ("anatase", "brookite", "rutile")
# The parameters of labels.csv, and what each is called here; see `targets.STRUCTURE_TARGETS`.
PARAMETERS = {
    "HOMO": "e_homo_ev",
    "LUMO": "e_lumo_ev",
    "Eg": "e_g_ev",
    "Ef": "fermi_level_ev",
    "Et": "total_energy_ev",
    "Eta": "energy_per_atom_ev",
    "disp": "displacement_ang",
    "vol": "volume_change_ang3",
    "bond": "bond_change_ang",
}
# The published parts: these temperatures (K) test inside and outside of the range that is trained
# on; all others train.
TEST_ID = (250, 450, 650, 750, 800)
TEST_OOD = (0, 50, 100, 900, 950, 1000)

Labels = Mapping[tuple[str, int], Mapping[str, float]]


class Sample(NamedTuple):
    """One rotation of a phase at a temperature.

    Attributes:
      phase: one of `PHASES`.
      temperature: K.
      rotation: its number.
      folder: of the temperature.
    """

    phase: str
    temperature: int
    rotation: int
    folder: pathlib.Path

    @property
    def name(self) -> str:
        """Return a name like 'anatase_300K_12'."""
        return f"{self.phase}_{self.temperature}K_{self.rotation}"

    @property
    def part(self) -> str:
        """Return the part of the published split: train, test_id or test_ood."""
        if self.temperature in TEST_ID:
            return "test_id"
        return "test_ood" if self.temperature in TEST_OOD else "train"

    def path(self, kind: str) -> pathlib.Path:
        """Return the path of one of `KINDS`."""
        return self.folder / kind / f"rot_{self.rotation}.{KINDS[kind]}"


KINDS = {"xyz": "xyz", "images": "png", "text": "txt"}  # folder: how its files end


def read_labels(path: str | os.PathLike) -> tuple[Labels, dict[str, int]]:
    """Return the labels of `labels.csv` by phase and temperature, then by our target name.

    Returns:
      The labels, and the parameters that are none of `PARAMETERS` with their number of rows.

    Raises:
      InputError: the file is not there, a row is wrong or stands there twice, or a phase at a
        temperature lacks one of the nine labels.
    """
    name = os.fspath(path)
    found: dict[tuple[str, int], dict[str, float]] = {}
    others: collections.Counter[str] = collections.Counter()
    header, rows = files.read_csv(name)
    columns = ["Polymorph", "Temperature", "Parameter", "Value"]
    if not set(columns) <= set(header):
        raise InputError(f"{name}: expected columns {columns}, got {header}")
    for line, row in rows:
        where = f"{name}: line {line}"
        key, parameter, value = _label(where, [row[header.index(column)] for column in columns])
        if parameter not in PARAMETERS:
            others[parameter] += 1
            continue
        parameter = PARAMETERS[parameter]
        if parameter in found.setdefault(key, {}):
            raise InputError(f"{where}: {parameter} of {key[0]} {key[1]}K stands twice")
        found[key][parameter] = value
    for (phase, kelvin), values in found.items():
        missing = [given for given, ours in PARAMETERS.items() if ours not in values]
        if missing:
            raise InputError(f"{name}: {phase} {kelvin}K has no {', '.join(missing)}")
    return found, dict(others)


def _label(where: str, words: list[str]) -> tuple[tuple[str, int], str, float]:
    """Return phase and temperature, the parameter, and the value, of a row's four words."""
    phase, kelvin, parameter, value = (word.strip() for word in words)
    phase = phase.lower()  # the published file has both ways
    choose(f"Polymorph of {where}:", phase, PHASES)
    if not re.fullmatch(r"\d{1,4}K?", kelvin):
        raise InputError(f"{where}: Temperature: expected one like 300K, got {kelvin!r}")
    try:
        number = files.number(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: Value: expected a number, got {value!r}")
    return (phase, int(kelvin.rstrip("K"))), parameter, number


def find(directory: str | os.PathLike, labels: Labels) -> tuple[list[Sample], dict[str, str]]:
    """Return every rotation in the folder, by phase, temperature and number.

    Args:
      directory: of the three phases.
      labels: from `read_labels`.

    Returns:
      The samples that are whole, and the names of the others with what they lack.

    Raises:
      InputError: there is no whole sample.
    """
    samples, left_out = [], {}
    for phase in PHASES:
        for kelvin, folder in sorted(_temperatures(pathlib.Path(directory) / phase)):
            numbers = {kind: _rotations(folder / kind, end) for kind, end in KINDS.items()}
            for rotation in sorted(set().union(*numbers.values())):
                sample = Sample(phase, kelvin, rotation, folder)
                lacking = [kind for kind in KINDS if rotation not in numbers[kind]]
                if (phase, kelvin) not in labels:
                    left_out[sample.name] = "no labels"
                elif lacking:
                    left_out[sample.name] = f"no file in {', '.join(lacking)}"
                else:
                    samples.append(sample)
    if not samples:
        raise InputError(
            f"{os.fspath(directory)}: expected files like anatase/300K/xyz/rot_0.xyz with images "
            f"and text, got none that are whole ({len(left_out)} lack something)"
        )
    return samples, left_out


def _temperatures(phase: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
    folders = phase.iterdir() if phase.is_dir() else ()
    return [(int(each.name[:-1]), each) for each in folders if re.fullmatch(r"\d+K", each.name)]


def _rotations(folder: pathlib.Path, end: str) -> set[int]:
    names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    found = (re.fullmatch(rf"rot_(\d+)\.{end}", name) for name in names)
    return {int(match[1]) for match in found if match}


def split_by_temperature(temperatures: np.ndarray) -> SplitRule:
    """Return the published rule: some temperatures test.

    Of the other rotations a random 80 % train and 20 % validate.

    Args:
      temperatures: [N] K, of all the structures.
    """

    def rule(rows: np.ndarray, seed: int) -> splits.Split:
        tests = np.isin(temperatures[rows], TEST_ID + TEST_OOD)
        others = np.flatnonzero(~tests)
        others = others[splits.torch_permutation(len(others), seed)]
        train = int(0.8 * len(others))
        return splits.Split(
            train=others[:train],
            validation=others[train:],
            test=np.flatnonzero(tests),
            description="crysmtm: the published temperatures test, of the other rotations a random "
            "80 % train and 20 % validate; all rotations at a temperature are one structure",
        )

    return rule


_LABELS_FILE = "labels.csv"


def _feature(name: str) -> tfds.features.Tensor:
    """Return a label: bytes keep all digits, of which an energy needs more than float32 has."""
    doc = f"{target(name).unit}: {target(name).definition}."
    bytes_ = tfds.features.Encoding.BYTES
    return tfds.features.Tensor(shape=(), dtype=np.float64, doc=doc, encoding=bytes_)


class Builder(ArrayRecordBuilder):
    """Build `crysmtm`; its README has files, features and splits."""

    name = "crysmtm"
    VERSION = tfds.core.Version("1.0.1")
    RELEASE_NOTES = {  # noqa: RUF012 (TFDS reads a plain attribute)
        "1.0.1": "The provenance has a digest of the files.",
        "1.0.0": "Initial release.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Extract CrysMTM (DOI 10.6084/m9.figshare.29497604) so that this directory holds `labels.csv` and
    the folders `anatase`, `brookite` and `rutile` with files like anatase/300K/xyz/rot_0.xyz.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(doc="Like anatase_300K_12."),
                    "phase": tfds.features.ClassLabel(names=list(PHASES)),
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
                    **{name: _feature(name) for name in PARAMETERS.values()},
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
        labels, others = read_labels(manual / _LABELS_FILE)
        samples, left_out = find(manual, labels)
        self.info.metadata.update(
            provenance={
                "sha256": _digest(manual / _LABELS_FILE, samples),
                "samples": len(samples),
                "labelled": len(labels),
                "left_out": left_out,
                "other_parameters": others,
            }
        )
        parts: dict[str, list[Sample]] = {}
        for sample in samples:
            parts.setdefault(sample.part, []).append(sample)
        return {part: self._generate_examples(some, labels) for part, some in parts.items()}

    def _generate_examples(
        self, samples: list[Sample], labels: Labels
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for sample in samples:
            structure = read_structure(sample.path("xyz"))
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
                    "text": files.read_text(sample.path("text")),
                    **labels[sample.phase, sample.temperature],
                },
            )


def _digest(labels: pathlib.Path, samples: list[Sample]) -> str:
    """Return the SHA-256 of a list: that of the labels, then name and that of each structure."""
    lines = [files.sha256(labels)]
    lines += [f"{sample.name} {files.sha256(sample.path('xyz'))}" for sample in samples]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _image(path: Any) -> Any:
    """Return the picture as RGB, without the transparency that it may have."""
    content = io.BytesIO(files.read_bytes(path))
    try:
        with PIL.Image.open(content) as image:
            return image.convert("RGB")
    except (*files.DAMAGE, PIL.Image.DecompressionBombError) as error:
        said = files.one_line(error)
        raise InputError(f"{path}: not an image, or damaged: {said}") from error


def open_structures(name: DataName, data_dir: str) -> Structures:
    """Return the crystals of a folder, which TFDS prepares in `data_dir` on first use.

    Raises:
      InputError: something in the files is wrong.
    """
    folder = pathlib.Path(name.path)
    found = [file for file in folder.rglob("*") if file.is_file()]
    made = prepared_builder(Builder, data_dir, name.path, found)
    targets = tuple(PARAMETERS.values())
    used = ("name", "temperature", *ATOMS, "cell", *targets)
    rows = records(made, tuple(made.info.splits), used)
    kept = ("name", "temperature", *targets)  # of a record, which has its image, too
    columns: dict[str, list] = {key: [] for key in kept}
    sizes = []
    for record in rows:
        sizes.append(len(record["atomic_numbers"]))
        for key, column in columns.items():
            column.append(record[key])
    return Structures(
        names=np.array([name.decode() for name in columns["name"]]),
        source=rows,
        read=_of_crystal,
        targets={name: np.array(columns[name]) for name in targets},
        sizes=np.array(sizes),
        split=split_by_temperature(np.array(columns["temperature"])),
        provenance=made.info.metadata["provenance"],
        periodic=True,
    )


def _of_crystal(record: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: record[name] for name in ATOMS}
    return found | ({"cell": record["cell"]} if record["cell"].any() else {})
