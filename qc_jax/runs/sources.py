"""Data by their names: every form of `--data` and `config.data`, opened in one place."""

import collections
import dataclasses
import os
import sys

from qc_jax.data import pairs
from qc_jax.data import table as tables
from qc_jax.data.names import is_structures
from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.engines.record import CONTINUOUS
from qc_jax.errors import InputError
from qc_jax.runs.progress import Bar

TFDS_PREFIX = "tfds:"


def open_data(name: str | os.PathLike, data_dir: str = "") -> PairTable | Structures:
    """Open pairs or larger structures by a name of `--data`, prefixes included.

    Raises:
      InputError: No such data.

    Example:
      >>> open_data("gfn2_xtb").opened_as
      'gfn2_xtb'
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not (isinstance(name, str) and is_structures(name)):
        return open_table(name, data_dir)
    from qc_jax.datasets import open_structures  # imports TFDS

    return dataclasses.replace(open_structures(name, data_dir), opened_as=name)


def open_table(name: str | os.PathLike, data_dir: str = "") -> PairTable:
    """Open a table of pairs by a name of `--data`, prefixes included.

    Args:
      name: A shipped table, a path to a .csv or .npz, 'published:FILE', 'dftbplus:DIR' or
        'tfds:DATASET'. Of a file that is not ours, says on standard error what is wrong with it.
      data_dir: Of TFDS; '' is its own choice.

    Raises:
      InputError: No such data, or they are no pairs.

    Example:
      >>> import qc_jax
      >>> len(qc_jax.open_table("gfn2_xtb"))
      2671
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(name, str) or not name:
        raise InputError(f"data: expected a name or a path, got {name!r}")
    if data_dir and not name.startswith(TFDS_PREFIX):
        raise InputError(f"data_dir {data_dir!r} is of TFDS; expected data 'tfds:…', got {name!r}")
    if is_structures(name):
        raise InputError(f"expected a table of pairs, got larger structures, {name!r}")
    kind, _, rest = name.partition(":")
    match kind:
        case "tfds":
            import qc_jax.datasets  # noqa: F401  (registers the builder)
            from qc_jax.data import records

            table = records.read_table(rest, data_dir or None)
        case "published":
            from qc_jax.engines import published  # like the next, only needed here

            table = published.read(rest)
        case "dftbplus":
            from qc_jax.engines import dftbplus

            with Bar() as bar:
                table = dftbplus.read_tree(rest, progress=bar)
        case _ if name.endswith((".csv", ".npz")):
            table = pairs.read(name)
        case _ if name in tables.SHIPPED:
            table = tables.open_table(name)
        case _:
            raise InputError(
                f"unknown data {name!r}; choose one of: {', '.join(tables.SHIPPED)}, or a path to "
                "a .csv or .npz file"
            )
    if kind in ("published", "dftbplus"):
        print("\n".join(account(table, most=5)), file=sys.stderr)
    return dataclasses.replace(table, opened_as=name)


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
