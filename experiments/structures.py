"""The sets of larger structures that a script's `--data` names, through their TFDS builders.

`qm9` (downloaded where there is a network) or `qm9:DIR` of its three files, `md17:FILE.npz`,
`crysmtm:DIR`. What TFDS prepares of files is kept under their names, sizes and times, so that other
files are never read as these.
"""

import hashlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from qc_jax.data import crysmtm, qm9, structures, trajectory
from qc_jax.data.structures import Structures
from qc_jax.errors import InputError, choose

_ATOMS = ("atomic_numbers", "positions")


def is_structures(data: str) -> bool:
    """Whether `data` names larger structures, not a table of pairs."""
    return data.partition(":")[0] in _KINDS


def check_data(data: str) -> tuple[str, str]:
    """The kind and the path that `data` names; see the module.

    Raises:
      InputError: an unknown kind, or no such path.
    """
    kind, _, path = data.partition(":")
    choose("structures", kind, _KINDS)
    if not path and kind != "qm9":
        raise InputError(f"{data}: expected a path, as in {kind}:PATH")
    if path and not os.path.exists(path):
        raise InputError(f"{data}: no such file or directory: {path}")
    return kind, path


def open_structures(data: str, data_dir: str = "") -> Structures:
    """The structures that `data` names, prepared by TFDS on first use.

    Args:
      data: see the module.
      data_dir: where TFDS keeps what it prepares; '' is its own choice.

    Raises:
      InputError: no such data, or something in the files is wrong.
    """
    kind, path = check_data(data)
    root = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return _KINDS[kind](path, os.path.expanduser(root))


def _qm9(path: str, data_dir: str) -> Structures:
    import data_builders.qm9_files as builder
    from data_builders.qm9_files.qm9_files_dataset_builder import FILES

    files = [pathlib.Path(path) / name for name in FILES.values()]
    made = _prepared(builder.Builder, data_dir, path, files)
    used = ("num_atoms", "charges", "positions", "index")
    labels = [feature.name for feature in qm9.TARGETS.values()]
    rows = _rows(made, ("train",), (*used, *labels))
    targets: dict[str, list[float]] = {name: [] for name in qm9.TARGETS}
    names, sizes = [], []
    for record in rows:
        names.append(f"qm9_{int(record['index'])}")
        sizes.append(int(record["num_atoms"]))
        for name, column in targets.items():
            column.append(qm9.label(record, name))
    return Structures(
        names=np.array(names),
        source=rows,
        read=qm9.read,
        targets={name: np.array(column) for name, column in targets.items()},
        sizes=np.array(sizes),
        split=structures.qm9_rule,
        provenance=made.info.metadata["provenance"],
    )


def _md17(path: str, data_dir: str) -> Structures:
    from data_builders.md17.md17_dataset_builder import Builder, TrajectoryConfig

    file = pathlib.Path(path)
    if file.suffix != ".npz":
        raise InputError(f"md17:{path}: expected an .npz")
    config = TrajectoryConfig(name="file", file=file.stem, layout=trajectory.layout_of(path))
    made = _prepared(Builder, data_dir, str(file.parent), [file], config=config)
    rows = _rows(made, ("train",), (*_ATOMS, "forces", "total_energy_ev"))
    energies = np.array([record["total_energy_ev"] for record in rows])
    atoms = len(rows[0]["atomic_numbers"])
    return Structures(
        names=np.array([f"{file.stem}_{row}" for row in range(len(rows))]),
        source=rows,
        read=lambda record: {name: record[name] for name in (*_ATOMS, "forces")},
        targets={"total_energy_ev": energies},
        sizes=np.full(len(rows), atoms),
        split=structures.md17_rule,
        provenance=made.info.metadata["provenance"],
    )


def _crysmtm(path: str, data_dir: str) -> Structures:
    from data_builders.crysmtm import Builder

    folder = pathlib.Path(path)
    files = [file for file in folder.rglob("*") if file.is_file()]
    made = _prepared(Builder, data_dir, path, files)
    targets = tuple(crysmtm.PARAMETERS.values())
    used = ("name", "temperature", *_ATOMS, "cell", *targets)
    rows = _rows(made, tuple(made.info.splits), used)
    records = list(rows)
    columns = {name: np.array([record[name] for record in records]) for name in targets}
    return Structures(
        names=np.array([record["name"].decode() for record in records]),
        source=rows,
        read=_of_crystal,
        targets=columns,
        sizes=np.array([len(record["atomic_numbers"]) for record in records]),
        split=structures.crysmtm_rule(np.array([record["temperature"] for record in records])),
        provenance=made.info.metadata["provenance"],
        periodic=True,
    )


def _of_crystal(record: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: record[name] for name in _ATOMS}
    return found | ({"cell": record["cell"]} if record["cell"].any() else {})


_KINDS: dict[str, Callable[[str, str], Structures]] = {
    "qm9": _qm9,
    "md17": _md17,
    "crysmtm": _crysmtm,
}


def _prepared(
    builder: Any, data_dir: str, manual: str, files: Iterable[pathlib.Path], **options: Any
) -> Any:
    """The builder, prepared from files in the manual directory, or downloaded where it is ''."""
    import tensorflow_datasets as tfds

    if manual:
        data_dir = os.path.join(data_dir, f"files_{_key(files)}")
    made = builder(data_dir=data_dir, **options)
    config = tfds.download.DownloadConfig(manual_dir=manual or None)
    try:
        made.download_and_prepare(download_config=config)
    except InputError:
        raise
    except (AssertionError, OSError) as error:  # no such files; the disk, or the network
        raise InputError(f"{made.name}: cannot be prepared: {error}") from error
    return builder(data_dir=data_dir, **options)


def _key(files: Iterable[pathlib.Path]) -> str:
    """Another one for other files: of their paths, sizes and times."""
    found = []
    for file in sorted(files):
        if file.exists():
            status = file.stat()
            found.append(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


class _Rows:
    """The records of several parts, one after the other; only the wanted features are decoded."""

    def __init__(self, sources: list[Any]):
        self._sources = sources
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain(*self._sources)

    def __getitem__(self, row: int) -> Any:
        if not 0 <= row < len(self):
            raise IndexError(row)
        at = int(np.searchsorted(self._ends, row, side="right"))
        return self._sources[at][row - int(self._ends[at] - len(self._sources[at]))]


def _rows(builder: Any, parts: Iterable[str], wanted: Iterable[str]) -> _Rows:
    import tensorflow_datasets as tfds

    chosen = set(wanted)
    features = builder.info.features
    skip = {key: tfds.decode.SkipDecoding() for key in features if key not in chosen}
    return _Rows([builder.as_data_source(split=part, decoders=skip) for part in parts])
