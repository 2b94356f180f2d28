"""The script, as its user starts it."""

import pytest

from qc_jax.runs import results
from tests.report import planted


@pytest.mark.slow
def test_a_report_and_a_package(tmp_path, run_python):
    planted.write(tmp_path / "run", {"gcn": 0.2, "vit": 0.3}, ["e_homo_ev"], [42], ended=False)
    done = run_python("-m", "experiments.report", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "partial: the last command has not ended" in done.stdout
    assert "report.html" in done.stdout and (tmp_path / "run/report/report.html").exists()
    path = tmp_path / "own.parquet"
    done = run_python(
        "-m", "experiments.report", f"--workdir={tmp_path / 'run'}", f"--package={path}"
    )
    assert done.returncode == 0, done.stderr
    assert results.P_AGAINST_SECOND in set(results.read(path).metric)


@pytest.mark.slow
def test_bad_input(tmp_path, run_python):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").touch()
    for words, error in (
        ([f"--workdir={tmp_path / 'nothing'}"], "no such directory"),
        ([f"--workdir={tmp_path}"], "expected results.csv"),
        (["--package=x.parquet"], "--package: expected --workdir"),
        (["--package=x.npz"], "--package: expected a path ending in .parquet, and no --out"),
        (["--package=x.parquet", "--submissions=x"], "no --out or --submissions, got x.parquet"),
        ([f"--submissions={tmp_path}"], "expected a folder with submissions, NAME.json, got none"),
        (["--package=x.parquet", "--out=x"], "--package: expected a path ending in .parquet"),
        ([f"--out={tmp_path / 'mine'}"], "mine holds other files; expected an empty or new"),
    ):
        done = run_python("-m", "experiments.report", *words)
        assert done.returncode == 2 and error in done.stderr
        assert len(done.stderr.splitlines()) == 1
