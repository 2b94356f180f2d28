"""Writes the results of a model as one file that others' reports show beside theirs.

    python -m experiments.train --config=egnn --config.model=bonds:Bonds --workdir=runs/bonds \\
        --config.sweep.seed=42,123,456
    python -m experiments.submit --workdir=runs/bonds --out=bonds.json --code=https://example.org
    python -m experiments.report --submissions=entries   # the folder that bonds.json is put in

The file has the predictions of all test pairs by seed, the scores, the split and what made them;
docs/guides/submit.md has its format. It is checked as a report will check it: the three seeds of
the published protocol and no others, on a table that ships with the package and its splits.
"""

import os

from qc_jax.report import submission, submit
from qc_jax.report.tables import show_errors
from qc_jax.runs import cli, results

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.string("workdir", None, "Of a benchmark, a sweep or one training.", required=True)
_OUT = FLAGS.string("out", None, "The file, NAME.json.", required=True)
_CODE = FLAGS.string("code", None, "Where the code can be read: an address, a DOI.", required=True)
_MODEL = FLAGS.string("model", "", "Of several in the workdir, as the report's tables name them.")
_NAME = FLAGS.string("name", "", "Of the entry; the model's by default.")
_AUTHORS = FLAGS.string("authors", "", "As the report shows them.")
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the file at --out.")


def main(_: list[str]) -> None:
    """Writes the file and says what is in it."""
    out = str(_OUT.value)
    cli.check_file(out, (".json",), bool(_OVERWRITE.value))
    found, left_out = submit.make(
        _WORKDIR.value, _CODE.value, _NAME.value, _AUTHORS.value, _MODEL.value
    )
    submit.write(out, found)
    show_errors(results.table(submission.read(out).rows))
    print(f"{found['name']}: {out}, {os.path.getsize(out) / 1e6:.2f} MB")
    if left_out:
        print(f"left out, not of the published protocol: seed {', '.join(map(str, left_out))}")


if __name__ == "__main__":
    cli.run(main, FLAGS)
