"""The script, as its user starts it: a model of one's own, outside of a clone, in a report."""

import json

import pytest

from qc_jax.report import submission

BONDS = """
import flax.linen as nn
import jax.numpy as jnp
from qc_jax.models import Architecture


class Bonds(Architecture):
    max_atomic_number: int = 96
    outputs: int = 1

    @nn.compact
    def __call__(self, batch, train=False):
        elements = nn.Embed(self.max_atomic_number + 1, 4)(batch.atomic_numbers)
        return nn.Dense(self.outputs)(elements.sum(1))
"""


@pytest.mark.slow
def test_a_model_of_ones_own_enters_the_report(tmp_path, run_python):
    (tmp_path / "bonds.py").write_text(BONDS)

    def run(*words):
        return run_python("-m", "qc_jax", *words, cwd=tmp_path)

    train = ("train", "--config=egnn", "--config.model=bonds:Bonds", "--config.epochs=1")
    train += ("--config.data=gfn2_xtb", "--workdir=run")
    assert run(*train, "--config.sweep.seed=42,123").returncode == 0
    out = tmp_path / "entries" / "bonds.json"
    submit = ("submit", "--workdir=run", f"--out={out}", "--code=https://example.org")
    done = run(*submit)
    assert done.returncode == 2 and f"--out: no such directory: {out.parent}" in done.stderr
    out.parent.mkdir()
    done = run(*submit)
    assert done.returncode == 2 and not out.exists()
    assert "error: run: e_homo_ev, split random: expected the seeds 42, 123, 456" in done.stderr
    done = run(*train, "--config.sweep.seed=42,123,456")
    assert done.returncode == 0, done.stderr
    done = run(*submit, "--authors=A. Nobody")
    assert done.returncode == 0, done.stderr
    assert f"Bonds: {out}, 0.0" in done.stdout
    entry = submission.read(out)
    assert (entry.name, entry.authors) == ("Bonds", "A. Nobody")
    told = json.loads(out.read_text())["trainings"][0]["scores"]["e_homo_ev"]["mae"]
    result = json.loads((tmp_path / "run/trainings/seed42/result.json").read_text())
    assert told == result["test"]["e_homo_ev"]["mae"]
    done = run("report", "--submissions=entries", "--out=report")
    assert done.returncode == 0, done.stderr
    assert "Bonds (submitted)" in (tmp_path / "report" / "tables.md").read_text()
    done = run(*submit)
    assert done.returncode == 2 and "bonds.json: exists already; add --overwrite" in done.stderr
