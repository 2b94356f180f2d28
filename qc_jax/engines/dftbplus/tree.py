"""A tree of DFTB+ outputs, a directory a pair, becomes a PairTable."""

import collections
import dataclasses
import os
from collections.abc import Callable
from typing import Any

from qc_jax.data.table import PairTable
from qc_jax.engines.dftbplus import tables
from qc_jax.engines.dftbplus.pair import pair_of, read
from qc_jax.engines.engine import EngineError, Failure
from qc_jax.engines.record import Record, to_table
from qc_jax.engines.sanity import NEED_DIAGNOSTICS, SanityChecks
from qc_jax.errors import InputError

_GATES = SanityChecks()


def read_tree(
    directory: str | os.PathLike,
    *,
    gates: SanityChecks = _GATES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PairTable:
    """Read the pairs whose DFTB+ outputs stand in `directory`/<A>_<B>/, each by `read_pair`.

    A directory may be called 'Ag_Al_spin' too; then a pair may stand in several rows, and
    `extras["system_id_guess"]` tells which is which. Files beside the directories, and hidden
    directories, are no concern of ours, but for the two of the published pipeline (`tables`):
    what they say otherwise than the outputs stands in the provenance under 'disagreements', and
    where there is no band.out they give the levels.

    Args:
      directory: of the tree.
      gates: what they fail is left out. Those that need evidence cannot be asked of a file.
      progress: called with the number of directories that are read and of all.

    Returns:
      A table, rows sorted by name. In its provenance: 'engine', 'version' of DFTB+ (where dftb.log
      tells, several with a comma), 'directory' (its name), 'gates', 'gates_not_checked',
      'left_out' and 'disagreements' by directory with the reasons, 'counts' (directories, read,
      left out by the kind of the reason), 'csv' by file (its rows, and what of rows and
      directories has no partner) and 'from_csv': in how many rows a column is from there.

    Raises:
      InputError: it is no directory, none in it is named after a pair, or a CSV file is damaged.
    """
    path = os.fspath(directory)
    folders = _folders(path)
    labels, distances = tables.read_labels(path), tables.read_distances(path)
    records: list[Record] = []
    left_out: dict[str, Failure] = {}
    releases: set[str] = set()
    from_csv: collections.Counter[str] = collections.Counter()
    progress(0, len(folders))
    for done, folder in enumerate(folders, start=1):
        try:
            reading = read(os.path.join(path, folder), labels.rows.get(folder) if labels else None)
        except EngineError as error:
            left_out[folder] = error.failure
        else:
            failure = gates.failure(reading.record)
            if failure is None:
                records.append(reading.record)
                if reading.release:
                    releases.add(reading.release)
                from_csv.update(reading.from_labels)
            else:
                left_out[folder] = failure
        progress(done, len(folders))
    kinds = collections.Counter(str(failure.kind) for failure in left_out.values())
    provenance: dict[str, Any] = {
        "engine": "dftbplus",
        "version": ", ".join(sorted(releases)),
        "directory": os.path.basename(os.path.abspath(path)),
        "gates": dataclasses.asdict(gates),
        "gates_not_checked": list(NEED_DIAGNOSTICS),
        "left_out": {folder: str(failure) for folder, failure in left_out.items()},
        "counts": {
            "directories": len(folders),
            "read": len(records),
            "left_out": dict(sorted(kinds.items())),
        },
        "csv": {file.file: file.account(folders) for file in (labels, distances) if file},
        "from_csv": dict(sorted(from_csv.items())),
    }
    table = to_table(records, provenance)
    found = tables.disagreements(table, labels, distances) if records else {}
    return dataclasses.replace(table, provenance=provenance | {"disagreements": found})


def _folders(path: str) -> list[str]:
    """Return the directories of the tree by name, sorted.

    Raises:
      InputError: there is none, or none that is named after a pair.
    """
    try:
        with os.scandir(path) as entries:
            folders = sorted(e.name for e in entries if _is_folder(e) and e.name[0] != ".")
    except OSError as error:
        raise InputError(
            f"{path}: expected a directory with one of DFTB+ outputs a pair: {error.strerror}"
        ) from error
    if not any(map(pair_of, folders)):
        raise InputError(
            f"{path}: expected directories named after pairs, like 'Ag_Al', got "
            f"{', '.join(map(repr, folders[:3])) or 'none'}{', …' if folders[3:] else ''}"
        )
    return folders


def _is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a directory, or a link that leads nowhere where one should be."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:  # a link that points to itself: reading it says so
        return True
