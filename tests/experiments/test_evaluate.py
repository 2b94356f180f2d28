"""Scores of a work directory: its own again, and on other splits and data without what it saw."""

import json
import shutil

import numpy as np
import pytest

from qc_jax.data import splits

SCRIPT = ("-m", "experiments.evaluate")


pytestmark = pytest.mark.slow  # a start of Python a test


@pytest.fixture(scope="module")
def trained(run_python, small_table, tmp_path_factory):
    """A run on the small table, and what was said."""
    folder = tmp_path_factory.mktemp("evaluate")
    small_table.save(folder / "table.npz")
    card = "--config=experiments/configs/egnn.py:quick"
    flags = (f"--config.data={folder / 'table.npz'}", f"--workdir={folder / 'run'}")
    done = run_python("-m", "experiments.train", card, *flags)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_runs_own_score(trained, run_python):
    """The table that training printed; --out holds what result.json does."""
    folder, done = trained
    run = folder / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    again = run_python(*SCRIPT, f"--workdir={run}", f"--out={folder / 'out'}")
    assert again.returncode == 0, again.stderr
    whole = done.stdout.splitlines()
    assert again.stdout.splitlines()[:8] == whole[:8] and len(whole) >= 8
    assert (folder / "out" / "parity.png").stat().st_size > 10_000
    trained_result = json.loads((run / "result.json").read_text())
    assert json.loads((folder / "out" / "result.json").read_text()) == trained_result
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()} == before


def test_another_split_without_the_pairs_it_has_seen(trained, run_python, small_table):
    folder, _ = trained
    out = folder / "by_type"
    done = run_python(*SCRIPT, f"--workdir={folder / 'run'}", "--split=by_type", f"--out={out}")
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    own = splits.random_split(len(small_table), 42)
    seen = set(small_table.names[np.concatenate([own.train, own.validation])])
    asked = small_table.names[splits.by_type(small_table, 42).test]
    fresh = [name for name in asked if name not in seen]
    assert 0 < len(fresh) < len(asked)
    assert result["split_sizes"]["test"] == len(fresh) and result["split"] == "by_type"
    why = "this model was trained or chosen on the pair"
    assert {name for name, reason in result["left_out"].items() if reason == why} == (
        set(asked) - set(fresh)
    )
    assert f"{len(asked) - len(fresh)} test rows left out: {why}" in done.stdout
    trained_on = json.loads((folder / "run" / "result.json").read_text())
    assert result["trained_on"].items() <= trained_on.items()
    data = (
        f"{len(own.train)} training, {len(own.validation)} validation pairs of {folder}/table.npz"
    )
    assert f"{data}, split random" in done.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--split=by_periods",), "unknown split 'by_periods'"),
        (("--data_dir=x",), "--data_dir is of --data"),
        (("--data=seen.npz",), "no test row is left: of all"),
        (("--out=seen.npz/out",), "seen.npz/out: cannot be written: Not a directory"),
    ],
)
def test_bad_input(trained, run_python, small_table, tmp_path, flags, words):
    folder, _ = trained
    small_table.take(splits.random_split(len(small_table), 42).train).save(tmp_path / "seen.npz")
    flags = [flag.replace("seen.npz", str(tmp_path / "seen.npz")) for flag in flags]
    out = f"--out={tmp_path / 'out'}"
    done = run_python(*SCRIPT, f"--workdir={folder / 'run'}", out, *flags)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_data_that_have_changed(trained, run_python, small_table, tmp_path):
    folder, _ = trained
    small_table.take(np.arange(1, len(small_table))).save(tmp_path / "table.npz")
    shutil.copytree(folder / "run", tmp_path / "run")
    for name, field in (("config.json", "data"), ("result.json", "dataset")):
        about = json.loads((tmp_path / "run" / name).read_text())
        about[field] = str(tmp_path / "table.npz")
        (tmp_path / "run" / name).write_text(json.dumps(about))
    done = run_python(*SCRIPT, f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "table.npz has changed since the model of" in done.stderr
