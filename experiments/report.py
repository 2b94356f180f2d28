"""Makes a report of a benchmark's work directory, or of the project's own results.

    python -m experiments.report --workdir=runs/benchmark [--out=DIR]
    python -m experiments.report --out=report        # the results that ship with the package
    python -m experiments.report --workdir=runs/egnn  # one training, beside the project's results

DIR gets report.html, which needs nothing else; tables.md and tables.tex; tables/ (CSV), figures/
(SVG, PNG) and data/ (CSV). A work directory that is not complete is reported as it is, and marked.
"""

import os
from pathlib import Path

from qc_jax.errors import InputError
from qc_jax.report import export, links, page, source
from qc_jax.runs import cli

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.string("workdir", None, "A benchmark's; without, the packaged results.")
_OUT = FLAGS.string("out", None, "Where to; WORKDIR/report or ./report by default.")
_PACKAGE = FLAGS.string(
    "package", None, "Only write the workdir's results as this Parquet file, as they ship."
)


def main(_: list[str]) -> None:
    """Makes the report and says where it is and what it lacks."""
    package = _PACKAGE.value
    if package is not None and (_OUT.value is not None or not package.endswith(".parquet")):
        raise InputError(
            f"--package: expected a path ending in .parquet, and no --out, got {package}"
        )
    own = source.read(_WORKDIR.value) if _WORKDIR.value is not None else None
    if own is not None:
        own = source.with_tests(own)
    if package is not None:
        if own is None:
            raise InputError("--package: expected --workdir, whose results are packaged")
        rows = source.package(own, package)
        size = os.path.getsize(package)
        print(f"{package}: {rows:,} rows, {size / 1e6:.2f} MB")
        return
    out = Path(_OUT.value or os.path.join(_WORKDIR.value or ".", "report"))
    pages = (out / links.REPORT, out / links.EXPLORER)
    if out.is_dir() and any(out.iterdir()) and not any(path.exists() for path in pages):
        raise InputError(
            f"--out: {out} holds other files; expected an empty or new directory, or a report's"
        )
    cli.make_out(out)
    report = page.build(own, source.packaged())
    written = export.write(report, out)
    links.join(out)
    for line in report.warnings:
        print(f"partial: {line}")
    size = (out / "report.html").stat().st_size
    print(f"{out / 'report.html'}: {size / 1e6:.1f} MB; {len(written) - 1} files beside it")


if __name__ == "__main__":
    cli.run(main, FLAGS)
