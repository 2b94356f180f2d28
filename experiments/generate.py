"""Compute all pairs of some elements and write their table.

    python -m experiments.generate --engine=tblite --out=FILE.npz [--elements=H,C,N,O] [--workers=N]

What is ready stands in FILE.npz.answers: stop the run or kill it, start the same command again, and
only the pairs in flight are computed again. Without --elements: every element the engine knows
(tblite: 2,701 pairs, 7 to 12 minutes on 2 cores). Flags of one engine alone are refused by others.

    python -m experiments.generate --engine=tblite --curve=0.7:2.5:40 --out=FILE.npz

scans bond lengths: each pair at 40 distances from 0.7 to 2.5 times its relaxed one, with forces. A
row behind a jump to another solution of the equations has `extras["continuous"] = 0`.

    python -m experiments.generate --engine=tblite --verify=50 [--table=FILE.npz] [--seed=0]

computes 50 random pairs of a table (the shipped one unless given) again, prints the largest
difference of each quantity, and exits with 1 where one is more than two runs may differ.

    python -m experiments.generate --engine=dftbplus --skf=DIR --out=FILE.npz [--raw=DIR]

relaxes pairs with the program dftb+ and any Slater-Koster files (PTBP, 3ob, ...), and keeps its
outputs, one directory a pair, in FILE_raw. --template replaces the input (that of the published
data is qc_jax/engines/dftbplus/template.hsd), --angular_momenta=S:d,O:p the shells that are read
off the files. --verify takes the same flags and keeps outputs only with --raw.
"""

import os
import sys
import tempfile

from absl import flags

from qc_jax.data.table import SHIPPED, PairTable, open_table
from qc_jax.engines import generate
from qc_jax.engines.record import CONTINUOUS
from qc_jax.errors import InputError
from qc_jax.runs import cli
from qc_jax.runs.progress import Bar
from qc_jax.runs.sources import account

from . import engine_flags

_ENGINE = flags.DEFINE_enum("engine", "tblite", sorted(generate.ENGINES), "who computes")
_OUT = flags.DEFINE_string("out", None, "path of the table, ending in .npz")
_ELEMENTS = flags.DEFINE_list("elements", None, "symbols; all that the engine knows unless given")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace the table at --out")
_VERIFY = flags.DEFINE_integer(
    "verify", None, "compute so many pairs of --table again and compare", lower_bound=1
)
_TABLE = flags.DEFINE_string("table", SHIPPED[0], "what --verify checks: a name or an .npz file")
_SEED = flags.DEFINE_integer("seed", 0, "which pairs --verify chooses", lower_bound=0)
_CURVE = flags.DEFINE_string(
    "curve", None, "LOW:HIGH:COUNT: so many distances, from LOW to HIGH times the relaxed one"
)


_OWNERS = engine_flags.define()


def _generate(out: str) -> None:
    symbols = None if _ELEMENTS.value is None else [symbol.strip() for symbol in _ELEMENTS.value]
    raw = out.removesuffix(".npz") + "_raw"
    engine = engine_flags.create_engine(_ENGINE.value, _OWNERS, symbols, raw)
    if _CURVE.value is not None:
        engine = generate.scanning(engine, _CURVE.value)
    symbols = list(engine.symbols) if symbols is None else symbols
    try:
        with Bar() as bar:
            table = generate.generate(
                engine, symbols, out, overwrite=_OVERWRITE.value, progress=bar
            )
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {out}.answers", file=sys.stderr)
        sys.exit(130)
    first, *others = account(table)
    if CONTINUOUS in table.extras:
        jumped = table.extras[CONTINUOUS] == 0
        names = " ".join(sorted(set(table.names[jumped])))
        others = [f"  {jumped.sum()} rows behind a jump, of: {names or '-'}", *others]
    print("\n".join([first, *others, f"wrote {out}, {os.path.getsize(out) / 1e6:.2f} MB"]))


def _verify(table: PairTable, count: int) -> bool:
    generate.check_maker(table, _ENGINE.value)
    with tempfile.TemporaryDirectory() as workspace, Bar() as bar:
        symbols = table.provenance.get("elements")
        engine = engine_flags.create_engine(_ENGINE.value, _OWNERS, symbols, workspace)
        if "curve" in table.provenance:
            engine = generate.scanning(engine, table.provenance["curve"])
        differences = generate.verify(engine, table, count, seed=_SEED.value, progress=bar)
    pairs = len(set(table.names))
    print(
        f"{min(count, pairs)} of {pairs} pairs of {_TABLE.value}, "
        f"made with {table.provenance.get('engine')} {table.provenance.get('version')}, "
        f"again with {engine.name} {engine.provenance()['version']}"
    )
    print(f"{'quantity':<24}{'largest difference':>20}{'allowed':>10}  unit   pair")
    for row in differences:
        print(
            f"{row.quantity:<24}{row.largest:>20.1e}{row.allowed:>10.0e}  {row.unit:<6} {row.pair}"
            + ("" if row.within else "  TOO MUCH")
        )
    return all(row.within for row in differences)


def main(argv: list[str]) -> None:
    """Make a table, or with --verify check one."""
    if argv:
        raise InputError(f"expected flags only (--engine=tblite), got {argv[0]!r}")
    if (_VERIFY.value is None) == (_OUT.value is None):
        got = "neither" if _OUT.value is None else "both"
        raise InputError(f"expected --out=FILE.npz, or --verify=COUNT, got {got}")
    if _OUT.value is not None:
        _generate(_OUT.value)
    if _VERIFY.value is not None and _CURVE.value is not None:
        raise InputError("--curve belongs to --out; --verify takes it from the table")
    if _VERIFY.value is not None and not _verify(open_table(_TABLE.value), _VERIFY.value):
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
