"""Compares two tables row by row: label by label, the worst pairs, and atoms that are exchanged.

    python -m experiments.compare published:dataset_combined.npz ptbp [--worst=10] [--out=FILE.csv]
    python -m experiments.compare gfn2_xtb ptbp --label=e_homo_ev

A table is named as in --config.data. Differences are the second's value less the first's; --out
keeps those of every pair, and --label shows one label alone.
"""

from qc_jax.data import files
from qc_jax.errors import InputError, choose
from qc_jax.report import tables
from qc_jax.report.comparison import Comparison, compare
from qc_jax.runs import cli, sources

FLAGS = cli.Flags(__doc__)
_LABEL = FLAGS.string("label", None, "Show this label only.")
_WORST = FLAGS.integer("worst", 5, "How many of the worst pairs are listed.", lower_bound=0)
_OUT = FLAGS.string("out", None, "A .csv for the differences of every pair.")
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the file at --out.")


def main(words: list[str]) -> None:
    """Prints how far two tables differ."""
    if len(words) != 2:
        raise InputError(
            "expected the names of two tables, like published:dataset_combined.npz ptbp, got "
            f"{' '.join(words) or 'none'}"
        )
    out = _OUT.value
    if out is not None:
        cli.check_file(out, (".csv",), bool(_OVERWRITE.value))
    found = compare(*map(sources.open_table, words))
    if _LABEL.value is not None:
        choose("label of both tables", _LABEL.value, list(found.labels.label))
    _show(found, *words)
    if out is not None:
        with files.atomic_write(out) as partial:
            found.differences.rename_axis("name").to_csv(partial)
        print(f"{len(found.differences)} pairs: {out}")


def _show(found: Comparison, first: str, second: str) -> None:
    shown = found.labels
    if _LABEL.value is not None:
        shown = shown[shown.label == _LABEL.value]
    rows = [
        (
            line.label,
            line.unit,
            f"{line.pairs}",
            f"{line.undefined}",
            *map(tables.number, (line.mean, line.mean_second, line.std, line.std_second)),
            *map(tables.number, (line.median, line.q95, line.largest)),
            line.worst or "-",
        )
        for line in shown.itertuples()
    ]
    tables.show(
        f"{second} less {first}: {len(found.differences)} pairs in both",
        (
            *("label", "unit", "pairs", "in one only", "mean", "mean, second", "std"),
            *("std, second", "median |Δ|", "95 % |Δ|", "largest |Δ|", "of"),
        ),
        rows,
    )
    for label in shown.label if _WORST.value else ():
        sizes = found.differences[label].abs().nlargest(_WORST.value)
        worst = found.differences[label].loc[sizes[sizes > 0].index]
        if len(worst):
            print(f"{label}: " + ", ".join(f"{name} {value:+.4g}" for name, value in worst.items()))
    for name, only in zip((first, second), found.only, strict=True):
        print(_listed(f"only in {name}", only))
    print(_listed("atoms exchanged, by their charges", found.swapped))
    if found.repeated:
        print(_listed("more than once, not compared", found.repeated))


def _listed(what: str, names: tuple[str, ...], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}: {len(names)}" + (f": {' '.join(names[:most])}{more}" if names else "")


if __name__ == "__main__":
    cli.run(main, FLAGS, "TABLE TABLE")
