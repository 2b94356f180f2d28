"""Data by their names: every form of `--data` and `config.data`, opened in one place."""

import collections
import dataclasses
import sys
from collections.abc import Callable

from qc_jax.data import pairs
from qc_jax.data import table as tables
from qc_jax.data.names import is_structures
from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.engines import dftbplus, published
from qc_jax.engines.record import CONTINUOUS
from qc_jax.errors import InputError
from qc_jax.runs.progress import Bar

TFDS_PREFIX = "tfds:"
# What stands before the path in `config.data`, and who reads it.
READERS: dict[str, Callable[[str], PairTable]] = {
    "published:": published.read,
    "dftbplus:": lambda directory: _read_tree(directory),  # which is defined below
}


def read_data(data: str, data_dir: str) -> PairTable | Structures:
    """The table, as `read_table`, or the larger structures, as `open_structures`.

    Raises:
      InputError: no such data.
    """
    if is_structures(data):
        from qc_jax.datasets import open_structures  # imports TFDS

        return dataclasses.replace(open_structures(data, data_dir), opened_as=data)
    return open_table(data, data_dir)


def read_table(data: str, data_dir: str) -> PairTable:
    """As `open_table`."""
    return open_table(data, data_dir)


def open_data(name: str, data_dir: str = "") -> PairTable | Structures:
    """Open pairs or larger structures by a name of `--data`, prefixes included.

    Raises:
      InputError: No such data.

    Example:
      >>> open_data("gfn2_xtb").opened_as
      'gfn2_xtb'
    """
    return read_data(name, data_dir)


def open_table(name: str, data_dir: str = "") -> PairTable:
    """Open a table of pairs by a name of `--data`, prefixes included.

    Args:
      name: A shipped table, a path to an .npz, 'published:FILE', 'dftbplus:DIR' or 'tfds:DATASET'.
      data_dir: Of TFDS; '' is its own choice.

    Raises:
      InputError: No such data, or they are no pairs.

    Example:
      >>> import qc_jax
      >>> len(qc_jax.open_table("gfn2_xtb"))
      2671
    """
    return dataclasses.replace(_read_table(name, data_dir), opened_as=name)


def _read_table(data: str, data_dir: str) -> PairTable:
    """The table that `config.data` names; of a file that is not ours, tells what is wrong with it.

    Args:
      data: a shipped table, a path to an .npz, 'tfds:DATASET', or one of `READERS` and a path.
      data_dir: of TFDS; '' is TFDS's own choice.

    Raises:
      InputError: no such data.
    """
    if data.startswith(TFDS_PREFIX):
        import qc_jax.datasets  # noqa: F401  (registers the builder)
        from qc_jax.data import records

        return records.read_table(data.removeprefix(TFDS_PREFIX), data_dir or None)
    if data_dir:
        raise InputError(f"data_dir {data_dir!r} is of TFDS; expected data 'tfds:…', got {data!r}")
    if is_structures(data):
        raise InputError(f"expected a table of pairs, got larger structures, {data!r}")
    for prefix, read in READERS.items():
        if data.startswith(prefix):
            table = read(data.removeprefix(prefix))
            print("\n".join(account(table, most=5)), file=sys.stderr)
            return table
    return pairs.read(data) if data.endswith((".csv", ".npz")) else tables.open_table(data)


def _read_tree(directory: str) -> PairTable:
    with Bar() as bar:
        return dftbplus.read_tree(directory, progress=bar)


def account(table: PairTable, most: int | None = None) -> list[str]:
    """Lines that say how many rows there are, are left out, and contradict themselves, and why.

    Args:
      table: with its provenance.
      most: how many rows are told with their reasons, of those left out and of those that
        contradict themselves; None for all.
    """
    lines = [f"{len(table)} rows in the table"]
    if CONTINUOUS in table.extras:
        jumped = table.extras[CONTINUOUS] == 0
        names = " ".join(sorted(set(table.names[jumped])))
        lines.append(f"  {jumped.sum()} rows behind a jump, of: {names or '-'}")
    for key, text in (("left_out", "left out"), ("disagreements", "contradict themselves")):
        if key not in table.provenance:
            continue
        reasons = {
            name: [given] if isinstance(given, str) else list(given)
            for name, given in table.provenance[key].items()
        }
        # A reason begins with its kind and a colon; a row counts once a kind.
        kinds = collections.Counter(
            kind
            for given in reasons.values()
            for kind in {text.partition(":")[0] for text in given}
        )
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        lines[0] += f"; {len(reasons)} {text}" + (f" ({counts})" if counts else "")
        lines += [f"  {name}: {'; '.join(given)}" for name, given in list(reasons.items())[:most]]
        if most is not None and len(reasons) > most:
            lines.append(f"  and {len(reasons) - most} more that {text}")
    return lines
