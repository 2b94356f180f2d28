"""Compute all pairs of some elements and write their table.

    python -m experiments.generate --engine=tblite --out=FILE.npz [--elements=H,C,N,O] [--workers=N]

What is ready stands in FILE.npz.answers: stop the run or kill it, start the same command again, and
only the pairs in flight are computed again. Without --elements: every element the engine knows
(tblite: 2,701 pairs, 7 to 12 minutes on 2 cores). Flags of one engine alone are refused by others.

    python -m experiments.generate --engine=tblite --curve=0.7:2.5:40 --out=FILE.npz

scans bond lengths: each pair at 40 distances from 0.7 to 2.5 times its relaxed one, with forces. A
row behind a jump to another solution of the equations has `extras["continuous"] = 0`.

    python -m experiments.generate --engine=tblite --verify=50 [--table=FILE.npz] [--seed=0]

computes 50 random pairs of a table (the shipped one of these settings unless given) again, prints
the largest difference of each quantity, and exits with 1 where one is more than two runs may
differ.

    python -m experiments.generate --engine=dftbplus --skf=DIR --out=FILE.npz [--raw=DIR]

relaxes pairs with the program dftb+ and any Slater-Koster files (PTBP, 3ob, ...), and keeps its
outputs, one directory a pair, in FILE_raw. --template replaces the input (that of the published
data is qc_jax/engines/dftbplus/template.hsd), --angular_momenta=S:d,O:p the shells that are read
off the files. --verify takes the same flags and keeps outputs only with --raw.
"""

import os
import sys
import tempfile

from qc_jax.data.table import SHIPPED, PairTable, open_table
from qc_jax.engines import generate
from qc_jax.engines.engine import Engine
from qc_jax.errors import InputError
from qc_jax.report.tables import show
from qc_jax.runs import cli, sources
from qc_jax.runs.progress import Bar

from .engine_flags import EngineFlags

FLAGS = cli.Flags(__doc__)
_ENGINE = EngineFlags(FLAGS)
_OUT = FLAGS.string("out", None, "Path of the table, ending in .npz.")
_ELEMENTS = FLAGS.strings("elements", None, "Symbols; all that the engine knows unless given.")
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the table at --out.")
_CURVE = FLAGS.string(
    "curve", None, "LOW:HIGH:COUNT: so many distances, from LOW to HIGH times the relaxed one."
)
_VERIFY = FLAGS.integer(
    "verify", None, "Compute so many pairs of --table again and compare.", lower_bound=1
)
_TABLE = FLAGS.string(
    "table",
    None,
    "What --verify checks: a name or an .npz; the shipped one of the settings unless given.",
)
_SEED = FLAGS.integer("seed", 0, "Which pairs --verify chooses.", lower_bound=0)


def _generate(out: str) -> None:
    symbols = None if _ELEMENTS.value is None else [symbol.strip() for symbol in _ELEMENTS.value]
    if symbols is not None and len(set(symbols)) < len(symbols):
        raise InputError(f"--elements: expected different symbols, got {','.join(symbols)}")
    engine = _ENGINE.create(symbols, out.removesuffix(".npz") + "_raw")
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
    print("\n".join([*sources.account(table), f"wrote {out}, {os.path.getsize(out) / 1e6:.2f} MB"]))


def _tables() -> dict[str, PairTable]:
    """Return the tables that --verify may check, by name: --table, or all shipped of the engine."""
    name = _ENGINE.engine.value
    if _TABLE.value is not None:
        table = sources.open_table(_TABLE.value)
        generate.check_maker(table, name)
        return {_TABLE.value: table}
    shipped = {one: open_table(one) for one in SHIPPED}
    own = {one: table for one, table in shipped.items() if table.provenance["engine"] == name}
    if not own:
        raise InputError(
            f"--verify: expected --table=FILE.npz; no shipped table is of engine {name!r}"
        )
    return own


def _chosen(workspace: str) -> tuple[str, PairTable, Engine]:
    """Return what --verify checks, with its name, and the engine: the first with its settings."""
    choices = []
    for name, table in _tables().items():
        made = table.provenance
        engine = _ENGINE.create(made.get("elements"), workspace)
        if "curve" in made:
            engine = generate.scanning(engine, made["curve"])
        choices.append((name, table, engine))
    same = (one for one in choices if not generate.other_settings(one[2], one[1]))
    return next(same, choices[0])


def _verify(count: int) -> None:
    with tempfile.TemporaryDirectory() as workspace, Bar() as bar:
        shown, table, engine = _chosen(workspace)
        found = generate.verify(engine, table, count, seed=_SEED.value, progress=bar)
    pairs, made = len(set(table.names)), table.provenance
    title = (
        f"{min(count, pairs)} of {pairs} pairs of {shown}, made with {made.get('engine')} "
        f"{made.get('version')}, again with {engine.name} {engine.provenance()['version']}"
    )
    rows = [
        (
            *(row.quantity, f"{row.largest:.1e}", f"{row.allowed:.0e}", row.unit, row.pair),
            "" if row.within else "TOO MUCH",
        )
        for row in found
    ]
    show(title, ("quantity", "largest difference", "allowed", "unit", "pair", ""), rows)
    if not all(row.within for row in found):
        sys.exit(1)


def main(_: list[str]) -> None:
    """Make a table, or with --verify check one."""
    if (_VERIFY.value is None) == (_OUT.value is None):
        got = "neither" if _OUT.value is None else "both"
        raise InputError(f"expected --out=FILE.npz, or --verify=COUNT, got {got}")
    other = {"elements", "overwrite", "curve"} if _OUT.value is None else {"table", "seed"}
    for flag in sorted(FLAGS.given() & other):
        with_ = "--out" if _OUT.value is None else "--verify"
        raise InputError(f"--{flag} belongs to {with_}")
    if _OUT.value is not None:
        _generate(_OUT.value)
    else:
        _verify(_VERIFY.value)


if __name__ == "__main__":
    cli.run(main, FLAGS)
