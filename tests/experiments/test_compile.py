"""Flags of the script; `tests/accelerators` has what it prints."""

import re
import textwrap

import pytest

from experiments import compile as script
from qc_jax.accelerators import chips, programs, topology
from qc_jax.errors import InputError


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
def test_bad_input(flags, words):
    _refused(flags, f".*{re.escape(words)}")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--config=egnn", "--rows=9"), "--rows: --what=train does not use it"),
        (("--config=egnn", "--parallel=data"), "--parallel: --config does not use it; expected --"),
        (("--what=dftb", "--config=egnn"), "--config: --what=dftb does not use it"),
        (("--what=dftb", "--config.epochs=9"), "--config: --what=dftb does not use it"),
        (("--what=canvas", "--models=all"), "--models: --what=canvas does not use it"),
        (("--what=canvas", "--preset=quick"), "--preset: --what=canvas does not use it"),
        (("--what=densities", "--parallel=data"), "--parallel: --what=densities does not use it"),
        (("--models=egnn", "--config.epochs=9"), "--config.FIELD: is of --config, not of --mod"),
        (("--what=dftb", "--structures=9x9"), "--structures: --what=dftb does not use it"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(flags, words):
    _refused(("--device=gpu:h100:1", *flags), words)


def _refused(flags, words):
    try:
        with pytest.raises(InputError, match=f"^{words}"):
            script.FLAGS.parse(flags)
            script.main([])
    finally:
        script.FLAGS.reset()


@pytest.mark.skipif(topology.missing("tpu") is None, reason="libtpu is here")
def test_the_missing_compiler_is_named(run_python):
    done = run_python("-m", "experiments.compile", "--config=egnn:quick", "--device=tpu:v5e:2x2")
    assert done.returncode == 2 and "`pip install 'qc-jax[tpu]'` brings it" in done.stderr


CARD = """
    from ml_collections import ConfigDict

    def get_config():
        return ConfigDict({"model": {"name": "gcn", "hidden": 8}, "epochs": 5, "data": DATA})
"""


@pytest.fixture
def asked(small_table, tmp_path, monkeypatch):
    """Returns which programs the script would compile for flags: names, and the largest stack."""
    small_table.save(tmp_path / "table.npz")
    card = textwrap.dedent(CARD).replace("DATA", repr(str(tmp_path / "table.npz")))
    (tmp_path / "few.py").write_text(card)
    seen = []
    monkeypatch.setattr(
        programs, "compile_for", lambda _, run, most, bar: seen.append((list(run), most)) or []
    )

    def ask(*flags):
        script.FLAGS.reset()
        script.FLAGS.parse([f"--config={tmp_path / 'few.py'}", "--device=gpu:h100:1", *flags])
        script._training()(chips.parse("gpu:h100:1"))
        return seen.pop()

    yield ask
    script.FLAGS.reset()


def test_the_configuration_is_that_of_train(asked):
    """What the card leaves out has its default, and a sweep its stack."""
    assert asked() == ([""], 0)


def test_the_stack_is_that_of_the_sweep(asked, tmp_path):
    with (tmp_path / "few.py").open("a") as card:
        card.write("\n\nfew = get_config\n\n\ndef get_config():\n    config = few()\n")
        card.write('    config.sweep = {"seed": "1,2,3,4", "stack": 2}\n    return config\n')
    assert asked() == ([f"seed{seed}" for seed in (1, 2, 3, 4)], 2)
