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

from experiments import cli
from qc_jax.data.table import SHIPPED, PairTable, open_table
from qc_jax.engines import generate as engines
from qc_jax.engines.engine import Engine
from qc_jax.engines.record import CONTINUOUS
from qc_jax.errors import InputError
from qc_jax.runs.progress import Bar
from qc_jax.runs.sources import account

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
# Of dftbplus alone.
_SKF = flags.DEFINE_string("skf", None, "directory of the Slater-Koster files (A-B.skf)")
_RAW = flags.DEFINE_string("raw", None, "directory that keeps the program's outputs")
_TEMPLATE = flags.DEFINE_string("template", None, "text of the program's input, with $fields")
_ANGULAR_MOMENTA = flags.DEFINE_list(
    "angular_momenta", None, "highest shells of elements, like S:d,O:p"
)
_DFTBPLUS = (_SKF, _RAW, _TEMPLATE, _ANGULAR_MOMENTA)
# The program ends at --timeout; who waits for it waits a little longer.
_PATIENCE_S = 10.0


def _engine(symbols: list[str] | None, raw: str) -> Engine:
    """The engine that the flags say.

    Args:
      symbols: elements that it is to compute; all that it knows unless given.
      raw: where outputs are kept without --raw.
    """
    if _ENGINE.value != "dftbplus":
        for flag in _DFTBPLUS:
            if flag.value is not None:
                raise InputError(f"--{flag.name} belongs to --engine=dftbplus")
        return engines.create_engine(_ENGINE.value)
    return engines.create_engine(
        _ENGINE.value,
        skf=_SKF.value,
        raw=_RAW.value or raw,
        symbols=symbols,
        template=_TEMPLATE.value,
        angular_momenta=_angular_momenta(),
        timeout_s=_TIMEOUT.value,
    )


def _angular_momenta() -> dict[str, str]:
    momenta = {}
    for item in _ANGULAR_MOMENTA.value or ():
        symbol, colon, letter = item.strip().partition(":")
        if not colon or symbol in momenta:
            raise InputError(
                f"--angular_momenta: expected each element once, like S:d,O:p, got {item!r}"
            )
        momenta[symbol] = letter
    return momenta


def _timeout() -> float:
    return _TIMEOUT.value + (_PATIENCE_S if _ENGINE.value == "dftbplus" else 0.0)


def _generate(out: str) -> None:
    symbols = None if _ELEMENTS.value is None else [symbol.strip() for symbol in _ELEMENTS.value]
    engine = _engine(symbols, out.removesuffix(".npz") + "_raw")
    if _CURVE.value is not None:
        engine = engines.scanning(engine, _CURVE.value)
    try:
        with Bar() as bar:
            table = engines.generate(
                engine,
                engine.symbols if symbols is None else symbols,
                out,
                workers=_WORKERS.value,
                overwrite=_OVERWRITE.value,
                timeout_s=_timeout(),
                progress=bar,
            )
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {out}.journal", file=sys.stderr)
        sys.exit(130)
    _summary(table)
    print(f"wrote {out}, {os.path.getsize(out) / 1e6:.2f} MB")


def _summary(table: PairTable) -> None:
    first, *others = account(table)
    print(first)
    if CONTINUOUS in table.extras:
        jumped = table.extras[CONTINUOUS] == 0
        names = " ".join(sorted(set(table.names[jumped])))
        print(f"  {jumped.sum()} rows behind a jump to another solution, of: {names or '-'}")
    print("\n".join(others), end="\n" if others else "")


def _verify(count: int) -> None:
    table = open_table(_TABLE.value)
    engines.check_maker(table, _ENGINE.value)
    with tempfile.TemporaryDirectory() as raw:
        _compare(_engine(table.provenance.get("elements"), raw), table, count)


def _compare(engine: Engine, table: PairTable, count: int) -> None:
    if "curve" in table.provenance:
        engine = engines.scanning(engine, table.provenance["curve"])
    pairs = len(set(table.names))
    print(
        f"{min(count, pairs)} of {pairs} pairs of {_TABLE.value}, "
        f"made with {table.provenance.get('engine')} {table.provenance.get('version')}, "
        f"again with {engine.name} {engine.provenance()['version']}"
    )
    with Bar() as bar:
        differences = engines.verify(
            engine,
            table,
            count,
            seed=_SEED.value,
            workers=_WORKERS.value,
            timeout_s=_timeout(),
            progress=bar,
        )
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
    if _OUT.value is not None:
        _generate(_OUT.value)
    elif _VERIFY.value is not None:
        _verify(_VERIFY.value)


if __name__ == "__main__":
    cli.run(main)
