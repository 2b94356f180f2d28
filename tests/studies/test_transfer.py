"""Scratch against pretrained on real frames: each training once, and a verdict in words."""

import pytest

from qc_jax.errors import InputError
from qc_jax.runs import results
from qc_jax.studies import transfer
from tests.experiments.test_finetune import DATA, pretrain


@pytest.mark.parametrize(
    ("interval", "better", "words"),
    [
        ((-2, -1), 3, "pretraining helps"),
        ((-2, -1), 2, "it does not help: no difference that can be told"),
        ((-2, 1), 3, "it does not help: no difference that can be told"),
        ((1, 2), 0, "pretraining hurts"),
    ],
)
def test_the_verdict_needs_the_interval_and_every_seed(interval, better, words):
    assert transfer.verdict(*interval, better, 3) == words


def test_the_data_must_be_structures():
    assert transfer.card(DATA)["target"] == "total_energy_ev"
    with pytest.raises(InputError, match="unknown structures 'gfn2_xtb'"):
        transfer.card("gfn2_xtb")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pretrained": ["a"]}, "expected ARM=DIR with different names, got 'a'"),
        ({"pretrained": []}, "--pretrained: expected at least one"),
        ({"sizes": ["0"]}, "--sizes: expected numbers from 1 up, or all, got '0'"),
        ({"rates": ["nan"]}, "--rates: expected numbers above 0, got 'nan'"),
        ({"rates": []}, "expected at least one of each"),
    ],
)
def test_bad_options(changed, words):
    given = {"pretrained": ["a=b"], "sizes": ["20", "all"], "rates": ["1e-3"], "force_weight": 0.0}
    assert transfer.options(**given).sizes == [20, 0]
    with pytest.raises(InputError, match=words):
        transfer.options(**(given | changed))


@pytest.mark.slow
def test_the_study(small_table, run_python, tmp_path):
    pre = pretrain(tmp_path, small_table)
    command = (
        *("-m", "experiments.study", "transfer", f"--workdir={tmp_path / 'run'}", "--epochs=2"),
        *(f"--data={DATA}", f"--data_dir={tmp_path / 'tfds'}", "--sizes=20", "--rates=1e-3"),
        "--seeds=1,2",
    )
    done = run_python(*command, f"--pretrained=pairs={pre}")
    assert done.returncode == 0, done.stderr
    assert "8 of 8 trainings are missing" in done.stdout
    assert "20 training rows, pairs, own best rate: 0.001" in done.stdout
    frame = results.read(tmp_path / "run/studies/transfer.csv")
    told = frame[frame.metric == "mae_difference"]
    assert set(frame.varied) == {20} and set(frame.arm[frame.metric == transfer.REACHED]) == {
        f"{arm}, {kind}"
        for arm in ("scratch", "pairs")
        for kind in (transfer.PUBLISHED, transfer.BEST)
    }
    assert list(told.setting) == [
        f"pairs against scratch, {kind}" for kind in ("published rate", "own best rate")
    ]
    mae = frame[(frame.metric == "mae") & (frame.target == "total_energy_ev")]
    mean = mae.groupby(mae.setting).value.mean()
    expected = mean["pairs, own best rate"] - mean["scratch, own best rate"]
    assert mean["pairs, own best rate"] == mean["pairs, lr 0.001"]
    # Over structures, of which some test with one of the seeds alone.
    assert told.value.iloc[1] == pytest.approx(expected, abs=0.5 * abs(expected) + 1e-3)
    again = run_python(*command, f"--pretrained=pairs={pre}")
    assert again.returncode == 0 and "missing" not in again.stdout
    wrong = run_python(*command, "--pretrained=pairs")
    assert wrong.returncode == 2 and "expected ARM=DIR with different names" in wrong.stderr
