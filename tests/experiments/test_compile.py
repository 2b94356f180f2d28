"""Flags of the script; `tests/accelerators` has what it prints."""

import pytest

from qc_jax.accelerators import topology


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "expected --device: tpu:KIND:TOPOLOGY or gpu:KIND:NUMBER, or several."),
        (("--device=tpu:v5e:4x4",), "expected --config, --models or --preset, got none"),
        (
            ("--device=tpu:v5e:4x4", "--config=egnn", "--preset=quick"),
            "expected --config, --models or --preset, got --config and --preset",
        ),
        (("--device=tpu:v5e:5x5", "--config=egnn"), "unknown topology '5x5' of TPU v5e"),
        (("--device=gpu:h100:1", "--models=egm"), "unknown model 'egm'; choose one of: "),
        (
            ("--device=gpu:h100:1", "--config=egnn", "--structures=9"),
            "expected ROWSxATOMS, at least 36x1, got '9'",
        ),
        (("--device=gpu:h100:1", "--config=egnn", "--out=a.csv"), "a file that ends in .json"),
    ],
)
def test_bad_input(flags, words, run_python):
    done = run_python("-m", "experiments.compile", *flags)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and words in line


@pytest.mark.skipif(topology.missing("tpu") is None, reason="libtpu is here")
def test_the_missing_compiler_is_named(run_python):
    done = run_python("-m", "experiments.compile", "--config=egnn:quick", "--device=tpu:v5e:2x2")
    assert done.returncode == 2 and "`pip install 'qc-jax[tpu]'` brings it" in done.stderr
