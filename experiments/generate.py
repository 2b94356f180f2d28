"""Computes all pairs of some elements and writes their table.

    python -m experiments.generate --engine=tblite --out=FILE.npz [--elements=H,C,N,O] [--workers=N]

What is ready stands in FILE.npz.journal: stop the run or kill it, start the same command again, and
only the pairs in flight are computed again. Without --elements: every element the engine knows
(tblite: 2,701 pairs, 7 to 12 minutes on 2 cores).

    python -m experiments.generate --engine=tblite --curve=0.7:2.5:40 --out=FILE.npz

scans bond lengths: each pair at 40 distances from 0.7 to 2.5 times its relaxed one, with forces. A
row behind a jump to another solution of the equations has `extras["continuous"] = 0`.

    python -m experiments.generate --engine=tblite --verify=50 [--table=FILE.npz] [--seed=0]

computes 50 random pairs of a table (the shipped one unless given) again, prints the largest
difference of each quantity, and exits with 1 where one is more than two runs may differ.
"""

import collections
import os
import sys

import tqdm
from absl import flags

from experiments import cli
from qc_jax.data.table import SHIPPED, PairTable, open_table
from qc_jax.engines import generate as engines
from qc_jax.engines.engine import Engine
from qc_jax.engines.record import CONTINUOUS
from qc_jax.errors import InputError

_ENGINE = flags.DEFINE_enum("engine", "tblite", sorted(engines.ENGINES), "who computes")
_OUT = flags.DEFINE_string("out", None, "path of the table, ending in .npz")
_ELEMENTS = flags.DEFINE_list("elements", None, "symbols; all that the engine knows unless given")
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "processes", lower_bound=1)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace the table at --out")
_VERIFY = flags.DEFINE_integer(
    "verify", None, "compute so many pairs of --table again and compare", lower_bound=1
)
_TABLE = flags.DEFINE_string("table", SHIPPED[0], "what --verify checks: a name or an .npz file")
_SEED = flags.DEFINE_integer("seed", 0, "which pairs --verify chooses", lower_bound=0)
_CURVE = flags.DEFINE_string(
    "curve", None, "LOW:HIGH:COUNT: so many distances, from LOW to HIGH times the relaxed one"
)
_TIMEOUT = flags.DEFINE_float(
    "timeout", engines.TIMEOUT_S, "seconds after which a pair is given up", lower_bound=1
)


class _Bar:
    """A progress bar that learns how much there is to do on its first call."""

    def __init__(self):
        self._bar = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm.tqdm(total=total, initial=done, unit="pair", file=sys.stderr)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _generate(engine: Engine, out: str) -> None:
    bar = _Bar()
    try:
        table = engines.generate(
            engine,
            [symbol.strip() for symbol in _ELEMENTS.value or engine.symbols],
            out,
            workers=_WORKERS.value,
            overwrite=_OVERWRITE.value,
            timeout_s=_TIMEOUT.value,
            progress=bar,
        )
    except KeyboardInterrupt:
        bar.close()
        print(f"stopped; the same command goes on from {out}.journal", file=sys.stderr)
        sys.exit(130)
    finally:
        bar.close()
    _summary(table)
    print(f"wrote {out}, {os.path.getsize(out) / 1e6:.2f} MB")


def _summary(table: PairTable) -> None:
    pairs = len(set(table.names))
    rows = "" if pairs == len(table) else f" in {len(table)} rows"
    print(f"{pairs} pairs{rows} in the table, {len(table.left_out)} left out")
    if CONTINUOUS in table.extras:
        jumped = table.extras[CONTINUOUS] == 0
        names = " ".join(sorted(set(table.names[jumped])))
        print(f"  {jumped.sum()} rows behind a jump to another solution, of: {names or '-'}")
    kinds = collections.Counter(reason.split(":")[0] for reason in table.left_out.values())
    for kind, count in sorted(kinds.items()):
        print(f"  {count:4d} by {kind}")
    for name, reason in table.left_out.items():
        print(f"  {name}: {reason}")


def _verify(engine: Engine, count: int) -> None:
    table = open_table(_TABLE.value)
    if "curve" in table.provenance:
        engine = engines.scanning(engine, table.provenance["curve"])
    pairs = len(set(table.names))
    print(
        f"{min(count, pairs)} of {pairs} pairs of {_TABLE.value}, "
        f"made with {table.provenance.get('engine')} {table.provenance.get('version')}, "
        f"again with {engine.name} {engine.provenance()['version']}"
    )
    bar = _Bar()
    try:
        differences = engines.verify(
            engine,
            table,
            count,
            seed=_SEED.value,
            workers=_WORKERS.value,
            timeout_s=_TIMEOUT.value,
            progress=bar,
        )
    finally:
        bar.close()
    print(f"{'quantity':<24}{'largest difference':>20}{'allowed':>10}  unit   pair")
    for row in differences:
        verdict = "" if row.within else "  TOO MUCH"
        print(
            f"{row.quantity:<24}{row.largest:>20.1e}{row.allowed:>10.0e}  {row.unit:<6} "
            f"{row.pair}{verdict}"
        )
    if not all(row.within for row in differences):
        sys.exit(1)


def main(argv: list[str]) -> None:
    """Makes a table, or with --verify checks one."""
    if argv:
        raise InputError(f"expected flags only (--engine=tblite), got {argv[0]!r}")
    if _VERIFY.value is None and _OUT.value is None:
        raise InputError("expected --out=FILE.npz, or --verify=COUNT")
    if _VERIFY.value is not None and _OUT.value is not None:
        raise InputError("expected either --out or --verify, got both")
    if _VERIFY.value is not None and _CURVE.value is not None:
        raise InputError("--curve belongs to --out; --verify takes it from the table")
    engine = engines.create_engine(_ENGINE.value)
    if _OUT.value is not None:
        if _CURVE.value is not None:
            engine = engines.scanning(engine, _CURVE.value)
        _generate(engine, _OUT.value)
    elif _VERIFY.value is not None:
        _verify(engine, _VERIFY.value)


if __name__ == "__main__":
    cli.run(main)
