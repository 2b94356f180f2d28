import json
import re

import jax
import pytest

from experiments.speed.densities import time_densities


def test_canvas(run_python, tmp_path):
    kept = tmp_path / "canvas.json"
    flags = ("--what=canvas", "--batch=4,8", "--rounds=2", "--size=16", f"--out={kept}")
    done = run_python("-m", "experiments.speed", *flags)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"JAX {jax.__version__}" in lines[0]
    assert lines[1] == "16 x 16 x 10 canvases, float32"
    assert [line.split()[0] for line in lines[3:]] == ["4", "8"]
    for line in lines[3:]:
        rate, gigabytes, ratio, speed_up = (
            float(word.replace(",", "")) for word in line.split()[1:5]
        )
        assert rate > 0 and gigabytes >= 0 and ratio > 0 and speed_up >= 0
    found = json.loads(kept.read_text())
    assert found["what"] == "canvas" and found["versions"]["jax"] == jax.__version__
    assert [(row["size"], row["batch"]) for row in found["rows"]] == [(16, 4), (16, 8)]
    assert all(row["canvases_per_s"] > 0 for row in found["rows"])
    again = run_python("-m", "experiments.speed", *flags)
    assert again.returncode == 2 and "exists already" in again.stderr


@pytest.mark.slow
def test_densities():
    got = time_densities(batch=8, size=16, rounds=2, elements=("H", "O"))
    assert got.ratio > 1
    assert got.gigabytes_per_s == pytest.approx(got.images_per_s * 16 * 16 * 10 * 4 / 1e9)


@pytest.mark.slow
def test_models(run_python):
    done = run_python(
        "-m", "experiments.speed", "--what=models", "--models=geometry_only", "--rounds=1"
    )
    assert done.returncode == 0, done.stderr
    _, product, training, head, row = done.stdout.splitlines()
    assert "matrix product" in product and "2,136 pairs in batches of 64" in training
    assert head.split()[:4] == ["model", "parameters", "compile", "s"]
    name, *numbers = row.split()
    parameters, compile_seconds, trained, of_product, predicted = (
        float(word.replace(",", "")) for word in numbers
    )
    assert (name, parameters) == ("geometry_only", 318_529)
    assert min(compile_seconds, trained, predicted) > 0
    assert 0 < of_product < 100


@pytest.mark.slow
def test_tight_binding(run_python, tmp_path):
    flags = ("--what=dftb", "--pairs=1", f"--data_dir={tmp_path}")
    done = run_python("-m", "experiments.speed", *flags)
    assert done.returncode == 0, done.stderr
    _, head, *steps, last = done.stdout.splitlines()
    assert head.split()[:3] == ["step", "count", "wall"] and len(steps) == 8
    # The second of each two finds what the first one compiled and kept: as good as no time.
    assert all(float(step.split()[-4]) > 0 for step in steps[::2])
    assert re.match(r"0\.\d MB of atoms and tables kept; at most \d", last)
    assert list((tmp_path / "dftb").glob("rows-*.npz"))


def test_a_reference_that_is_not_installed_is_one_line(run_python):
    code = """
import sys
sys.modules["torch"] = None  # an import of it raises ModuleNotFoundError
from experiments.speed import __main__ as speed
from qc_jax.runs import cli
cli.run(speed.main, speed.FLAGS)
"""
    done = run_python("-c", code, "--what=models", "--models=gcn", "--reference")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: --reference: torch is not installed, which the PyTorch networks need; "
        "pip install torch==2.13.0 && pip install -e '.[references]'"
    )


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--batch=8,many", "--batch: expected whole numbers from 1 up, got 'many'"),
        ("--size=2", "canvas size: expected a whole number from 3 up, got 2"),
        ("--what=nothing", "canvas"),
        ("canvas", "expected flags only"),
        ("--what=models --models=schnett", "unknown model 'schnett'; choose one of: "),
        ("--what=models --models=pair_mean", "pair_mean is solved at once, not trained by steps"),
        ("--molecules=5", "--molecules"),
        ("--molecules=50", "--molecules: --what=canvas does not use it"),
        ("--what=grid --size=8", "--size: --what=grid does not use it"),
        ("--what=stream --models=gcn,egnn", "--models: expected one value here, got gcn, egnn"),
        ("--what=models --batch=8,16", "--batch: expected one value here, got 8, 16"),
    ],
)
def test_wrong_flag_is_one_line(run_python, flag, message):
    done = run_python("-m", "experiments.speed", *flag.split())
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and message in last and "Traceback" not in done.stderr


@pytest.mark.slow
def test_grid(run_python):
    """Two trainings on two devices."""
    flags = ("--what=grid", "--models=geometry_only", "--stack=2", "--rounds=1")
    done = run_python("-m", "experiments.speed", *flags, devices=2)
    assert done.returncode == 0, done.stderr
    _, about, head, row = done.stdout.splitlines()
    assert about.startswith("2 devices; a large float32 matrix product: ")
    assert head.split()[:3] == ["model", "stack", "ms/epoch"]
    name, size, *numbers = row.split()
    assert (name, size) == ("geometry_only", "2")
    milliseconds, compile_seconds, rate, share, cores, memory = (
        float(word.replace(",", "")) for word in numbers
    )
    assert milliseconds > 0 and compile_seconds > 0 and rate > 0 and memory > 0
    assert 0 < share < 100 and 0 < cores < 64


@pytest.mark.slow
def test_stream(run_python, tmp_path):
    flags = ("--what=stream", "--models=gcn", "--molecules=40", "--rows=20", "--batch=4")
    done = run_python("-m", "experiments.speed", *flags, f"--data_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "40 molecules there" in done.stdout
    assert "gcn: 20 of them, drawn from all, in " in done.stdout
    waited = re.search(r"waited for input (\S+) % of the time", done.stdout)
    assert waited and 0 <= float(waited[1]) <= 100
    assert list(tmp_path.rglob("*.array_record*"))


def test_references_are_of_a_clone_alone(run_python, tmp_path):
    command = ("-m", "qc_jax", "speed", "--what=models", "--models=gcn", "--reference")
    done = run_python(*command, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "in tests/references of a clone" in done.stderr.splitlines()[-1]
