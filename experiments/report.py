"""Makes a report of a benchmark's work directory, or of the project's own results.

    python -m experiments.report --workdir=runs/benchmark [--out=DIR]
    python -m experiments.report --out=report        # the results that ship with the package
    python -m experiments.report --workdir=runs/egnn  # one training, beside the project's results
    python -m experiments.report --submissions=entries  # files of experiments.submit, in one table

DIR gets report.html, which needs nothing else; tables.md and tables.tex; tables/ (CSV), figures/
(SVG, PNG) and data/ (CSV). A work directory that is not complete is reported as it is, and marked.
Submissions stand among the models of the work directory, or of the project where there is none.
"""

import os
from pathlib import Path

from qc_jax.errors import InputError
from qc_jax.report import export, links, page, source, submission
from qc_jax.runs import cli

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.string("workdir", None, "A benchmark's; without, the packaged results.")
_OUT = FLAGS.string("out", None, "Where to; WORKDIR/report or ./report by default.")
_PACKAGE = FLAGS.string(
    "package", None, "Only write the workdir's results as this Parquet file, as they ship."
)
_SUBMISSIONS = FLAGS.string("submissions", None, "A folder of experiments.submit's files.")


def main(_: list[str]) -> None:
    """Makes the report and says where it is and what it lacks."""
    package = _PACKAGE.value
    if package is not None and (
        FLAGS.given() & {"out", "submissions"} or not package.endswith(".parquet")
    ):
        raise InputError(
            f"--package: expected a path ending in .parquet, and no --out or --submissions, got "
            f"{package}"
        )
    folder = _SUBMISSIONS.value
    entries = submission.read_folder(folder) if folder is not None else ()
    own = source.read(_WORKDIR.value) if _WORKDIR.value is not None else None
    if own is not None:
        own = source.with_tests(submission.added(own, entries))
    if package is not None:
        if own is None:
            raise InputError("--package: expected --workdir, whose results are packaged")
        rows = source.package(own, package)
        size = os.path.getsize(package)
        print(f"{package}: {rows:,} rows, {size / 1e6:.2f} MB")
        return
    out = Path(_OUT.value or os.path.join(_WORKDIR.value or ".", "report"))
    links.check_out(out)
    cli.make_out(out)
    project = source.packaged()
    if own is None and project is not None:
        project = source.with_tests(submission.added(project, entries))
    report = page.build(own, project, entries)
    written = export.write(report, out)
    links.join(out)
    for line in report.warnings:
        print(f"partial: {line}")
    size = (out / "report.html").stat().st_size
    print(f"{out / 'report.html'}: {size / 1e6:.1f} MB; {len(written) - 1} files beside it")


if __name__ == "__main__":
    cli.run(main, FLAGS)
