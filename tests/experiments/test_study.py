"""The studies on a directory of trainings: solved models, planted targets, bad input."""

import json

import numpy as np
import pytest

from experiments import study
from qc_jax.data import dataset
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate import ablation, baselines
from qc_jax.runs import results
from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.studies import (
    elements,
    leakage,
    learning_curve,
    modality,
    ood,
    regularisation,
    tables,
    trainings,
    uncertainty,
)
from qc_jax.studies.asked import Asked
from tests import planted

RUN = ("-m", "experiments.study")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A planted table and a place for its trainings."""
    folder = tmp_path_factory.mktemp("study")
    planted.plant(open_table("gfn2_xtb").take(np.arange(0, 2671, 4))).save(folder / "table.npz")
    return folder


def ask(folder, name, **changes) -> Asked:
    table = open_table(str(folder / "table.npz"))
    workdir = Workdir(folder / "run", config_name="sweep.json")
    data = {"data": str(folder / "table.npz"), "data_dir": ""}
    workdir.claim({**data, "data_fingerprint": table.fingerprint()})
    asked = Asked(
        study=name,
        workdir=workdir,
        table=table,
        fingerprint=table.fingerprint(),
        models=("pair_mean",),
        targets=(planted.ELEMENTS,),
        seeds=(1,),
        changes={**data, "parallel": "auto", "precision": "float32"},
        as_published=False,
        repeats=3,
        members=2,
        train=True,
        stack=0,
        stop=lambda: False,
    )
    return asked._replace(**changes)


def values(rows, metric, by="setting"):
    return {row[by]: row["value"] for row in rows if row["metric"] == metric}


def test_elements_of_a_model_that_needs_them(folder, capsys):
    """Trained where it is missing, once; a second run has the same numbers."""
    asked = ask(folder, "elements", targets=(planted.ELEMENTS, planted.NOISE))
    rows = elements.rows(asked)
    assert "2 of 2 trainings are missing" in capsys.readouterr().out
    assert elements.rows(asked) == rows and "missing" not in capsys.readouterr().out
    of_elements = [row for row in rows if row["target"] == planted.ELEMENTS]
    mae, change = values(of_elements, "mae"), values(of_elements, "mae_change")
    assert mae["shuffle"] > 3 * mae["normal"] and mae["swap"] == pytest.approx(mae["normal"])
    assert change["shuffle"] == mae["shuffle"] - mae["normal"] and "normal" not in change
    assert set(values(of_elements, "mae_std")) == {"shuffle", "random"}
    result = json.loads(
        (folder / "run/trainings/pair_mean-e_homo_ev-seed1/result.json").read_text()
    )
    assert mae["normal"] == pytest.approx(result["test"]["e_homo_ev"]["mae"])
    of_noise = values([row for row in rows if row["target"] == planted.NOISE], "mae")
    assert of_noise["shuffle"] < 1.2 * of_noise["normal"]

    frame, path = trainings.write(asked, rows)
    assert set(frame.study) == {"elements"} and path == folder / "run/studies/elements.csv"
    assert len(results.read(path)) == len(results.read(path.with_suffix(".parquet"))) == len(rows)
    one = asked._replace(targets=(planted.NOISE,))
    trainings.write(one, elements.rows(one))
    assert len(results.read(path)) == len(rows)  # those of the other target stay
    elements.show(frame)
    shown = capsys.readouterr().out
    assert "shuffle" in shown and "96 (pair_mean)" in shown


def test_every_target_of_a_network_of_several(folder, monkeypatch):
    """Each has its own errors: those that it has when it is learned alone."""
    targets = (planted.ELEMENTS, planted.NOISE)
    asked = ask(folder, "elements", targets=targets)
    together = asked._replace(changes={**asked.changes, "targets": "several"})
    key = ("target", "setting", "metric")
    alone, both = (
        {tuple(row[name] for name in key): row["value"] for row in elements.rows(one)}
        for one in (asked, together)
    )
    assert both == pytest.approx(alone, rel=1e-4, abs=1e-6)
    monkeypatch.setattr(ood, "SPLITS", ("by_type",))
    frame = results.table(ood.rows(together._replace(study="ood")))
    wide = frame.pivot_table(index=["split", "target"], columns="metric", values="value")
    assert len(wide) == 2
    np.testing.assert_allclose(wide.gap, wide.mae - wide.mae_in)


def test_what_a_model_does_not_take_costs_that_setting_alone(folder):
    asked = ask(folder, "elements", targets=(planted.NOISE,))

    def refuse(structures, generator):
        raise InputError("row 0: expected elements, got none")

    def changes(model):
        return {**ablation.of_elements(model), "swap": ablation.Change(refuse, random=False)}

    rows = trainings.ablate(asked, changes, "normal")
    assert values(rows, "mae")["shuffle"] > 0
    (lost,) = [row for row in rows if row["setting"] == "swap"]
    assert np.isnan(lost["value"]) and lost["status"] == "row 0: expected elements, got none"


def test_what_was_missing_goes_when_it_is_there(folder):
    asked = ask(folder, "elements", seeds=(7,), train=False)
    trainings.write(asked, elements.rows(asked))
    frame, path = trainings.write(asked, elements.rows(asked._replace(train=True)))
    whole = results.read(path)
    of_training = whole[whole.training == frame.training[0]]
    assert set(of_training.status) == {"finished"} and len(of_training) == len(frame)
    stopped = asked._replace(stop=lambda: True)  # a later one that does less takes nothing away
    lost, _ = trainings.write(stopped, elements.rows(stopped))
    assert set(lost.status) == {"not evaluated: asked to stop"}
    assert len(results.read(path)) == len(whole)


def test_elements_as_published_are_asked_of_all_rows(folder):
    """Those that were trained on are among them."""
    asked = ask(folder, "elements", targets=(planted.NOISE,))
    ours = values(elements.rows(asked), "mae")
    flawed = values(elements.rows(asked._replace(as_published=True)), "mae")
    task = dataset.prepare(asked.table, asked.targets, 1)
    numbers, labels = map(np.asarray, (task.dataset.structures.atomic_numbers, task.dataset.labels))
    train = task.split.train
    wrong = np.abs(baselines.pair_mean(numbers[train], labels[train], numbers) - labels)
    assert flawed["normal, as published: on all rows"] == pytest.approx(wrong.mean(), rel=1e-4)
    assert ours["normal"] == pytest.approx(wrong[task.split.test].mean(), rel=1e-4)


def test_what_is_missing_or_not_reached_is_marked(folder, capsys):
    """A run that was stopped still has rows for what it did not do."""
    asked = ask(folder, "elements", seeds=(1, 2), train=False)
    rows = elements.rows(asked)
    assert {(row["seed"], row["status"]) for row in rows} == {(1, "finished"), (2, "not trained")}
    tables.tell_partial(results.table(rows))
    assert "partial: not trained: pair_mean-e_homo_ev-seed2" in capsys.readouterr().out
    (training,) = (folder / "run/trainings").glob("pair_mean-e_homo_ev-seed1/checkpoints")
    training.rename(training.with_name("elsewhere"))
    (lost,) = elements.rows(asked._replace(seeds=(1,)))
    training.with_name("elsewhere").rename(training)
    assert "holds no checkpoint" in lost["status"]
    stopped = elements.rows(asked._replace(seeds=(1,), stop=lambda: True))
    assert [row["status"] for row in stopped] == ["not evaluated: asked to stop"]
    frame = results.table(stopped)
    elements.show(frame)
    assert frame.value.isna().all()


def test_ood(folder, capsys, monkeypatch):
    """A constant an element is as good in any pairs of known ones; of others it knows nothing."""
    monkeypatch.setattr(ood, "SPLITS", ("random", "by_type", "held_out_elements"))
    asked = ask(folder, "ood")
    rows = ood.rows(asked)
    gap, inside = values(rows, "gap", "split"), values(rows, "mae_in", "split")
    assert set(gap) == set(ood.SPLITS)
    assert gap["held_out_elements"] > 5 * abs(gap["random"])
    test = values(rows, "mae", "split")
    assert gap["by_type"] == pytest.approx(test["by_type"] - inside["by_type"])
    ood.show(results.table(rows))
    assert "held_out_elements" in capsys.readouterr().out
    assert (folder / "run/trainings/pair_mean-e_homo_ev-seed1-by_type").is_dir()


def test_ood_as_published_scales_over_all_rows(folder, monkeypatch):
    monkeypatch.setattr(ood, "SPLITS", ("by_type",))
    rows = ood.rows(ask(folder, "ood", as_published=True))
    setting = "as published: labels scaled over all rows, no early stopping"
    assert {row["setting"] for row in rows} == {setting}
    training = folder / "run/trainings/pair_mean-e_homo_ev-seed1-by_type-as_published"
    config = json.loads((training / "config.json").read_text())
    assert (config["epochs"], config["grad_clip_norm"]) == (100, 1.0)
    assert config["early_stopping_patience"] > config["epochs"]
    assert (config["scale_on"], config["keep"], config["init"]) == ("all", "best", "torch")


def test_learning_curve(folder, monkeypatch):
    monkeypatch.setattr(learning_curve, "FRACTIONS", (0.1, 1.0))
    rows = learning_curve.rows(ask(folder, "learning_curve"))
    mae, count = values(rows, "mae"), {row["setting"]: row["train_rows"] for row in rows}
    assert list(mae) == ["10 %", "100 %"] and list(count.values()) == [53, 534]
    assert mae["100 %"] < mae["10 %"]
    assert len({row["test_rows"] for row in rows}) == 1


def test_regularisation_changes_one_ingredient_at_a_time(folder, monkeypatch):
    monkeypatch.setattr(trainings, "rows", lambda asked, configs: configs)
    asked = ask(folder, "regularisation", models=("gcn", "tight_binding"), targets=("e_g_ev",))
    by_model = {"gcn": {}, "tight_binding": {}}
    for one in regularisation.rows(asked).values():
        by_model[one.config["model"]["name"]][one.setting] = one.config
    for name, words in (("gcn", ["with"] * 5), ("tight_binding", ["with"] + ["without"] * 4)):
        plain, *others = by_model[name].items()
        assert plain[0] == regularisation.PLAIN
        for (setting, config), word, expected in zip(
            others, words, regularisation.INGREDIENTS.items(), strict=True
        ):
            ingredient, fields = expected
            assert setting == f"{word} {ingredient}"
            changed = {key for key in config if config[key] != plain[1][key]}
            assert changed and changed <= {*fields[0], *fields[1], "target"}
    more = regularisation.rows(asked._replace(models=("gcn",), curves="curves.npz"))
    assert [one.config["curves"] for one in more.values()] == [""] * 6 + ["curves.npz"]


@pytest.mark.slow
def test_labels_of_curves_are_an_ingredient(folder):
    """A second run finds the training, with the curves' fingerprint in its configuration."""
    asked = ask(folder, "regularisation")._replace(curves=str(folder / "table.npz"))
    rows = regularisation.rows(asked)
    assert {row["status"] for row in rows} == {results.FINISHED}
    assert regularisation.rows(asked._replace(train=False)) == rows
    sizes = {row["setting"]: row["train_rows"] for row in rows}
    beside = f"with {regularisation.CURVES}"
    assert sizes[beside] == 2 * sizes[regularisation.PLAIN]


def test_uncertainty(folder):
    """Two members of a model that no seed changes: the mean is each, and all are as sure."""
    asked = ask(folder, "uncertainty", targets=(planted.ELEMENTS, planted.NOISE), seeds=(3,))
    rows = uncertainty.rows(asked)
    assert {row["setting"] for row in rows} == {"ensemble of 2"}
    mae, alone = values(rows, "mae", "target"), values(rows, "mae_member", "target")
    assert mae == pytest.approx(alone, rel=1e-5) and set(mae) == set(asked.targets)
    assert all(0.6 < share < 0.95 for share in values(rows, "coverage_80", "target").values())
    assert not values(rows, "rank_correlation", "target")
    member = folder / "run/trainings/pair_mean-e_homo_ev-seed3-member1/config.json"
    config = json.loads(member.read_text())
    assert (config["seed"], config["split_seed"]) == (1003, 3)
    left = uncertainty.rows(asked._replace(train=False, members=3))
    assert {row["status"] for row in left} == {"not trained"}
    names = [f"pair_mean-{target}-seed3" for target in asked.targets]  # one row an ensemble
    assert [row["training"] for row in left] == names


def test_modality_marks_what_is_read(folder):
    rows = modality.rows(ask(folder, "modality", models=("geometry_only",), train=False))
    assert [(row["setting"], row["status"]) for row in rows] == [("geometry", "not trained")]
    asked = ask(folder, "modality", models=("vision_only",), train=False, as_published=True)
    (row,) = modality.rows(asked)
    assert row["setting"].startswith("image, as published: ")


def test_modality_has_densities_where_pairs_have_orbitals(folder, tmp_path):
    table = open_table("ptbp")
    workdir = Workdir(tmp_path, config_name="sweep.json")
    data = {"data": "ptbp", "data_dir": ""}
    workdir.claim({**data, "data_fingerprint": table.fingerprint()})
    asked = ask(folder, "modality", models=("vision_only", "geometry_only"), train=False)
    changes = asked.changes | data
    rows = modality.rows(asked._replace(table=table, workdir=workdir, changes=changes))
    assert [row["setting"] for row in rows] == ["image", "image, densities", "geometry"]


def test_another_training_of_that_name(folder):
    asked = ask(folder, "elements")
    elements.rows(asked)
    other = asked._replace(changes={**asked.changes, "epochs": 3})
    with pytest.raises(InputError, match="epochs is 50 there, 3 asked"):
        elements.rows(other)


def test_a_mate_of_an_interrupted_program_goes_on_too(folder):
    """What had begun as one program is completed as one."""
    asked = ask(folder, "elements", models=("gcn",), seeds=(1, 2))
    configs = {name: one.config for name, one in trainings.wanted(asked).items()}
    path = asked.workdir.path / "stacks.json"
    before = path.read_text() if path.exists() else "[]"
    first, second = configs
    path.write_text(json.dumps([[first, second]]))
    mate = Workdir(asked.workdir.path / "trainings" / second)
    claimed = {**configs[second], "data_fingerprint": asked.fingerprint}
    mate.claim(RunConfig.from_dict(claimed).to_dict())
    found = trainings.with_mates(asked, {first: configs[first]})
    assert found.keys() == configs.keys()
    for name, config in configs.items():
        assert RunConfig.from_dict(found[name]) == RunConfig.from_dict(config)
    path.write_text(before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("channels", "--models=schnet", "--targets=mu_ev"), "schnet reads no canvas"),
        (("elements", "--models=vision_only", "--targets=mu_ev"), "vision_only reads no elements"),
        (("leakage", "--models=schnet"), "leakage is of no model"),
        (("leakage", "--as-published"), "there is no published flaw to repeat"),
        (("ood", "--split=by_type"), "Unknown command line flag 'split'"),
        (("ood", "--pretrained=a=b"), "--pretrained is of transfer; ood does not use it"),
        (("ood", "--repeats=3"), "--repeats is of channels, elements, timing; ood"),
        (("modality", "--repeats=3"), "--repeats is of channels, elements, timing; modality"),
        (("timing", "--seeds=1"), "uncertainty; timing does not use it"),
        (("timing", "--targets=mu_ev,e_g_ev"), "timing is of one target, got mu_ev, e_g_ev"),
        (
            ("uncertainty", "--targets=metal_like"),
            "--targets: uncertainty is of numbers, got metal_like, a class",
        ),
        (("ood", "--targets=u0_ev"), "unknown target of this table 'u0_ev'"),
        (("elements", "--workdir=nowhere"), "nowhere is not there"),
        (("elements", "--workdir=new", "--models=gcn", "--train"), "--targets: expected some"),
        (("channels",), "has no training of a model for channels"),
        (("leakage", "--targets=e_x"), "unknown target 'e_x'"),
        (("leakage", "--data=gfn2_xtb"), "holds another run (data is "),
    ],
)
def test_bad_input(folder, arguments, words):
    ask(folder, "elements")
    (folder / "run/trainings").mkdir(exist_ok=True)  # as other tests' trainings leave it
    name, *more = arguments
    given = (f"--workdir={folder / 'run'}", f"--data={folder / 'table.npz'}", *more)
    study.FLAGS.reset()
    with pytest.raises(InputError) as caught:
        study.FLAGS.parse(list(given))
        study.asked_of(name, lambda: False)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "name", ["leakage", "learning_curve", "modality", "ood", "regularisation", "resolution"]
)
def test_studies_take_a_class_that_follows_from_the_table(folder, name):
    ask(folder, "ood")
    study.FLAGS.reset()
    study.FLAGS.parse(
        [
            *(f"--workdir={folder / 'run'}", f"--data={folder / 'table.npz'}"),
            "--targets=metal_like,e_homo_ev",
        ]
    )
    assert study.asked_of(name, lambda: False).targets == ("metal_like", "e_homo_ev")
    study.FLAGS.reset()


def test_numbers_of_a_class_are_error_rates(tmp_path, monkeypatch):
    """Each is a number of wrong rows over that of all."""
    open_table("gfn2_xtb").take(np.arange(0, 2671, 8)).save(tmp_path / "table.npz")
    monkeypatch.setattr(ood, "SPLITS", ("random",))
    asked = ask(tmp_path, "ood", targets=("metal_like",))
    rows = ood.rows(asked)
    (first, *_), (inside,) = rows, values(rows, "mae_in").values()
    wrong = inside * first["validation_rows"]
    assert wrong == pytest.approx(round(wrong), abs=1e-3) and 0 < inside < 1
    rows += leakage.rows(asked._replace(study="leakage"))
    changed = values(elements.rows(asked._replace(study="elements")), "mae")
    assert changed["normal"] == values(rows, "mae")[""]
    accuracy = values(rows, "accuracy")
    assert len(accuracy) > 5
    assert values(rows, "mae") == pytest.approx({name: 1 - of for name, of in accuracy.items()})


def test_studies_of_trainings_that_started_as_pytorch_does(folder):
    ask(folder, "elements")
    study.FLAGS.reset()
    study.FLAGS.parse(
        [f"--workdir={folder / 'run'}", f"--data={folder / 'table.npz'}", "--init=torch"]
    )
    assert study.asked_of("ood", lambda: False).changes["init"] == "torch"
    study.FLAGS.reset()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["chanels"], "unknown study 'chanels'; choose one of: channels, elements"),
        ([], "expected the name of one study, got []: channels, elements"),
        (["ood", "elements"], "expected the name of one study"),
    ],
)
def test_another_study(argv, words):
    with pytest.raises(InputError) as caught:
        study.main(argv)
    assert words in str(caught.value)


@pytest.mark.slow
def test_as_a_user_runs_them(folder, run_python):
    """The command is noted, and the planted leak is told."""
    data = (f"--workdir={folder / 'cli'}", f"--data={folder / 'table.npz'}")
    done = run_python(*RUN, "leakage", *data, "--targets=mu_ev,e_g_ev", "--seeds=1")
    assert done.returncode == 0, done.stderr
    assert "charges leaks, which is not known yet: mu_ev" in done.stdout
    frame = results.read(folder / "cli/studies/leakage.csv")
    noise = frame[(frame.target == "e_g_ev") & (frame.metric == "skill")]
    assert len(noise) == 7 and (noise.value < 0.1).all()
    train = (*data, "--models=tabular_mlp", "--targets=band_energy_ev", "--seeds=1", "--epochs=6")
    done = run_python(*RUN, "channels", *train, "--train", "--repeats=2")
    assert done.returncode == 0, done.stderr
    assert "RIP-GAF d/f" in done.stdout
    done = run_python(*RUN, "resolution", *train, "--notrain")
    assert done.returncode == 0 and "partial: not trained: " in done.stdout, done.stderr
    commands = [json.loads(line) for line in (folder / "cli/commands.jsonl").open()]
    assert [line["event"] for line in commands] == ["started", "ended"] * 3
    assert commands[0]["command"].startswith("python -m experiments.study leakage --workdir=")


def test_every_study_is_told():
    assert study.__doc__ is not None
    assert all(name in study.__doc__ for name in study.STUDIES)
