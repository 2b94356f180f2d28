"""The benchmark as a user runs it."""

import json

import pytest

from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.errors import InputError
from qc_jax.evaluate import predictions
from qc_jax.runs import cards, grids, results

RUN = ("-m", "experiments.benchmark")


def test_every_training_is_that_of_its_card():
    asked = grids.trainings(("multimodal", "egnn"), ("e_g_ev", "e_homo_ev"), (42, 7), data="x")
    assert list(asked)[:2] == ["multimodal-e_g_ev-seed42", "multimodal-e_g_ev-seed7"]
    assert len(asked) == 8
    one = asked["multimodal-e_homo_ev-seed7"]
    card = grids.card("multimodal")
    assert one == {**card, "target": "e_homo_ev", "seed": 7, "data": "x"}
    assert list(grids.trainings(("gcn",), ("e_g_ev",), (1,), split="by_type")) == [
        "gcn-e_g_ev-seed1-by_type"
    ]


def test_folds_have_names_that_directories_can_have():
    names = [*(f"k_fold:{fold}/5" for fold in (1, 2)), "k_fold:1/52"]
    made = [list(grids.trainings(("gcn",), ("e_g_ev",), (1,), split=name)) for name in names]
    assert made == [[f"gcn-e_g_ev-seed1-k_fold.{fold}"] for fold in ("1_5", "2_5", "1_52")]


def test_the_published_benchmark_has_480_trainings():
    assert len(grids.PUBLISHED) * len(BENCHMARK_TARGETS) * len(grids.SEEDS) == 480
    assert set(grids.PUBLISHED) <= set(cards.names())


def test_what_is_left_out_is_listed():
    lines = grids.left_out(cards.names()[1:], BENCHMARK_TARGETS, (42, 456), 3)
    assert lines == [
        f"left out: 1 of {len(cards.names())} models: {cards.names()[0]}",
        "left out: 1 of 3 seeds: 123",
        "trained for 3 epochs at most, whatever the cards say",
    ]


def test_an_unknown_model():
    with pytest.raises(InputError, match="unknown model 'egn'"):
        grids.trainings(("egn",), ("e_g_ev",), (42,))


def read(workdir):
    frame = results.read(workdir / "results.csv")
    return frame[frame.metric == "mae"]


@pytest.mark.slow
def test_it_grows_and_is_not_trained_twice(run_python, tmp_path):
    """Solved models, as they take no time; trained ones are the sweep's tests."""
    workdir = tmp_path / "run"
    flags = (f"--workdir={workdir}", "--seeds=1,2", "--targets=e_g_ev,dipole_mag_d")
    done = run_python(*RUN, *flags, "--models=pair_mean")
    assert done.returncode == 0, done.stderr
    assert "left out: 18 of 20 targets" in done.stdout and "± " in done.stdout
    got = read(workdir)
    assert got.training.tolist() == [
        f"pair_mean-{target}-seed{seed}" for target in ("e_g_ev", "dipole_mag_d") for seed in (1, 2)
    ]
    again = read(workdir)
    for line in got.itertuples():
        folder = workdir / "trainings" / line.training
        tested = predictions.read(folder / "predictions.npz")
        assert tested.errors(line.target).mean() == pytest.approx(line.value, rel=1e-6)
        assert len(tested.names) == line.test_rows
    more = run_python(
        *RUN, f"--workdir={workdir}", "--seeds=3", "--targets=e_g_ev", "--models=pair_mean"
    )
    assert more.returncode == 0, more.stderr
    grown = read(workdir)
    assert len(grown) == 5 and "pair_mean-e_g_ev-seed3" in set(grown.training)
    same = grown[grown.training != "pair_mean-e_g_ev-seed3"].sort_values("training")
    assert same.value.tolist() == again.sort_values("training").value.tolist()
    assert results.read(workdir / "results.parquet").equals(results.read(workdir / "results.csv"))
    commands = [json.loads(line) for line in (workdir / "commands.jsonl").read_text().splitlines()]
    assert [line["event"] for line in commands] == ["started", "ended"] * 2
    assert commands[0]["command"].startswith("python -m experiments.benchmark --workdir=")
    # Other data do not mix with these.
    elsewhere = run_python(*RUN, *flags, "--models=pair_mean", f"--data={tmp_path / 'other.npz'}")
    assert elsewhere.returncode == 2 and "other.npz" in elsewhere.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--seeds=1,x",), "--seeds: expected whole numbers like 42,123, got 1,x"),
        (("--models=egnn,egnn",), "--models: expected different values"),
        (("--targets=e_hom_ev",), "unknown target 'e_hom_ev'"),
        (("--split=by_periods",), "unknown split 'by_periods'"),
    ],
)
@pytest.mark.slow
def test_bad_input(run_python, tmp_path, flags, words):
    done = run_python(*RUN, f"--workdir={tmp_path / 'run'}", *flags)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_model_that_learns_several_targets_at_once_is_trained_once_a_seed():
    configs = grids.trainings(["tight_binding"], BENCHMARK_TARGETS, (42, 123))
    assert [(name, one["targets"]) for name, one in configs.items()] == [
        ("tight_binding-seed42", "all"),
        ("tight_binding-seed123", "all"),
    ]
    some = grids.trainings(["tight_binding"], ["e_homo_ev", "e_g_ev"], (42,))
    ((name, one),) = some.items()
    assert (one["targets"], one["sweep"]["target"]) == ("e_g_ev,e_homo_ev", "")
    assert name.startswith("tight_binding-2_targets_") and name.endswith("-seed42")
    assert some == grids.trainings(["tight_binding"], ["e_g_ev", "e_homo_ev"], (42,))
    others = grids.trainings(["tight_binding"], ["e_g_ev", "e_lumo_ev"], (42,))
    assert others.keys().isdisjoint(some)
    assert list(grids.trainings(["tight_binding"], ["e_g_ev"], (42,), split="by_type")) == [
        "tight_binding-e_g_ev-seed42-by_type"
    ]
    with pytest.raises(InputError, match="unknown target 'e_x'"):
        grids.trainings(["tight_binding"], ["e_g_ev", "e_x"], (42,))
