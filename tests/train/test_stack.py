"""A training in a stack ends as it does alone, whatever the others do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.data import scaling, splits
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.runs import building
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop, stack
from qc_jax.train.config import TrainConfig
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import select_replica
from tests.train.conftest import Noisy

SETTINGS = TrainConfig(
    epochs=14,
    batch_size=32,
    lr=0.05,
    early_stopping_patience=5,
    plateau_patience=1,
    plateau_factor=0.5,
    checkpoint_every=4,
)


def training(task, path, dropout=0.2, noise=0.0, **changes) -> Training:
    """One training; its seed is that of its split, too, and its labels may have noise."""
    settings = dataclasses.replace(SETTINGS, **changes)
    split = splits.random_split(len(task.names), settings.seed)
    rng = np.random.default_rng(settings.seed)
    labels = np.asarray(task.dataset.labels)
    labels = labels + noise * rng.normal(size=labels.shape).astype(np.float32)
    task = task._replace(
        split=split,
        dataset=task.dataset.replace(labels=jnp.asarray(labels)),
        scaler=scaling.fit(labels[split.train], task.targets),
    )
    workdir = Workdir(path)
    workdir.claim({})
    return Training(Noisy(dropout=dropout), task, settings, (workdir,))


def trainings(task, folder) -> list[Training]:
    """Seeds, rates and labels of all kinds: some stop early, some lower their rate."""
    own = [
        {"seed": 1},
        {"seed": 2},
        {"seed": 1, "lr": 0.1},
        {"seed": 3, "lr": 0.002},
        {"seed": 2, "weight_decay": 0.1},
        {"seed": 4, "noise": 30.0},
        {"seed": 2, "dropout": 0.0},
    ]
    return [training(task, f"{folder}/{name}", **each) for name, each in enumerate(own)]


@pytest.fixture(scope="module")
def alone(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return [loop.fit(*each[:4]) for each in trainings(task, folder)]


@pytest.fixture(scope="module")
def together(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    ends = []
    ended = loop.fit_stack(
        trainings(task, folder), folder / "checkpoints", on_end=lambda *what: ends.append(what)
    )
    return folder, ended, ends


def test_every_state_is_seen(alone):
    """Stopped early and not; the rate lowered and not; the best epoch the last and not."""
    lengths = [len(each.history) for each in alone]
    assert min(lengths) < SETTINGS.epochs == max(lengths) and len(set(lengths)) > 1
    assert {len({line["lr"] for line in each.history}) > 1 for each in alone} == {True, False}
    late = {int(each.state.best_epoch) == len(each.history) for each in alone}
    assert late == {True, False}


def test_equals_the_training_alone(alone, together):
    """Epochs, rates and best epochs exactly; losses and weights within rounding.

    Training amplifies it: losses differ by 1e-7 in the first epoch, by up to 3e-4 in the last. In
    float64 throughout they differ by 3e-14 at most.
    """
    _, ended, _ = together
    for one, other in zip(alone, ended, strict=True):
        assert len(one.history) == len(other.history)
        assert int(one.state.best_epoch) == int(other.state.best_epoch)
        for epoch, (expected, got) in enumerate(zip(one.history, other.history, strict=True)):
            assert got["lr"] == pytest.approx(expected["lr"], rel=1e-6)
            for key in ("loss", "validation_loss"):
                assert got[key] == pytest.approx(expected[key], rel=1e-5 if epoch < 3 else 3e-3)
        for expected, got in zip(
            jax.tree.leaves(one.state), jax.tree.leaves(other.state), strict=True
        ):
            assert got.shape == expected.shape and got.dtype == expected.dtype
            np.testing.assert_allclose(got, expected, rtol=1e-2, atol=1e-3)


def test_each_end_is_told_once_and_in_time(together):
    _, ended, ends = together
    assert sorted(index for index, _ in ends) == list(range(len(ended)))
    epochs = [len(what.history) for _, what in ends]
    assert epochs == sorted(epochs)
    assert all(what is ended[index] for index, what in ends)


def test_first_states_are_those_of_the_trainings_alone(task, tmp_path):
    some = trainings(task, tmp_path)
    states = Stack(some).first_states()
    for index, each in enumerate(some):
        expected = select_replica(Stack([each]).first_states(), 0)
        got = select_replica(states, index)
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_resumes_to_the_same_bits(task, together, tmp_path):
    """Stopped after six epochs, of which the last two are in no regular checkpoint."""
    _, ended, _ = together
    some, told = trainings(task, tmp_path), []

    def stop():
        return max(told, default=0) == 6

    with pytest.raises(loop.Interrupted, match="stopped after epoch 6, as was asked"):
        loop.fit_stack(
            some,
            tmp_path / "checkpoints",
            on_epoch=lambda _, line: told.append(line["epoch"]),
            stop=stop,
        )
    assert max(told) == 6
    resumed = loop.fit_stack(some, tmp_path / "checkpoints")
    for one, other in zip(ended, resumed, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one.state, other.state)
        assert len(one.history) == len(other.history)


def test_those_that_are_done_are_not_trained(task, alone, tmp_path):
    some = trainings(task, tmp_path)
    told = []
    done = [index != 2 for index in range(len(some))]
    ended = loop.fit_stack(
        some, tmp_path / "c", done=done, on_epoch=lambda index, _: told.append(index)
    )
    assert set(told) == {2} and len(told) == len(alone[2].history)
    assert [what is None for what in ended] == done
    assert loop.fit_stack(some, tmp_path / "d", done=[True] * len(some)) == [None] * len(some)


@pytest.mark.slow
def test_one_that_fails_stops_no_other(task, alone, tmp_path):
    some = trainings(task, tmp_path)[:3]
    labels = some[1].task.dataset.labels.at[some[1].task.split.train[5], 1].set(np.inf)
    dataset = some[1].task.dataset.replace(labels=labels)
    some[1] = some[1]._replace(task=some[1].task._replace(dataset=dataset))
    with jax.debug_nans(False):
        ended = loop.fit_stack(some, tmp_path / "checkpoints")
    assert isinstance(ended[1], InputError) and "not finite in epoch 1, step" in str(ended[1])
    for index in (0, 2):
        got = [line["validation_loss"] for line in ended[index].history]
        expected = [line["validation_loss"] for line in alone[index].history]
        np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_what_can_be_stacked(task, tmp_path):
    one = training(task, tmp_path / "one", seed=1)
    like = training(task, tmp_path / "like", seed=2, lr=0.1, weight_decay=0.3, dropout=0.5)
    assert stack.static_signature(one) == stack.static_signature(like)
    # Of fewer rows, in as many batches or not.
    for rows in (one.task.split.train[:-1], np.arange(9)):
        split = dataclasses.replace(one.task.split, train=rows)
        assert stack.static_signature(one) == stack.static_signature(
            one._replace(task=one.task._replace(split=split))
        )
    structures = one.task.dataset.structures.replace(canvas_size=16)
    larger = one.task.dataset.replace(structures=structures)
    others = (
        one._replace(task=one.task._replace(dataset=larger)),
        training(task, tmp_path / "last", seed=1, keep="last"),
        training(task, tmp_path / "longer", seed=1, epochs=15),
        one._replace(task=one.task._replace(names=one.task.names[::-1])),
        one._replace(model=Noisy(outputs=3)),
    )
    for other in others:
        assert stack.static_signature(one) != stack.static_signature(other)


def test_a_training_of_fewer_steps_rests(task, tmp_path):
    """Of 1 and of 6 steps an epoch: losses, running averages and weights are as alone."""
    some = [training(task, tmp_path / str(seed), seed=seed, epochs=3) for seed in (1, 2)]
    split = some[1].task.split
    few = dataclasses.replace(split, train=split.train[:20], validation=split.validation[:1])
    some[1] = some[1]._replace(task=some[1].task._replace(split=few))
    assert [int(stack.batches_of(each).train) for each in some] == [6, 1]
    assert Stack(some).uneven and not Stack(some[1:]).uneven
    for one, got in zip(some, loop.fit_stack(some), strict=True):
        expected = loop.fit(*one[:3])
        for line, other in zip(got.history, expected.history, strict=True):
            for key in ("loss", "validation_loss"):
                assert line[key] == pytest.approx(other[key], rel=1e-4)
        for leaf, other in zip(
            jax.tree.leaves(got.state), jax.tree.leaves(expected.state), strict=True
        ):
            np.testing.assert_allclose(leaf, other, rtol=1e-3, atol=1e-4)


def test_rows_of_one_table_are_put_together():
    """Of a target that some rows lack, and one that none does: each has its own rows and labels."""
    table = open_table("ptbp").take(range(40))
    lumo = np.where(np.arange(40) % 7, table.targets["e_lumo_ev"], np.nan)
    table = dataclasses.replace(table, targets={**table.targets, "e_lumo_ev": lumo})
    some = [
        Training(Noisy(outputs=1), building.prepare(table, target), SETTINGS)
        for target in ("e_lumo_ev", "e_homo_ev")
    ]
    made = Stack(some)
    assert len(made.names) == len(made.structures.positions) == 64 and len(set(made.names)) == 40
    for index, (_, task, *_) in enumerate(some):
        mine = select_replica(made.replicas, index)
        for rows, part in ((mine.train_rows, "train"), (mine.validation_rows, "validation")):
            own = getattr(task.split, part)
            assert rows.count == len(own) and len(rows.numbers) % SETTINGS.batch_size == 0
            got = rows.numbers[: rows.count]
            np.testing.assert_array_equal(mine.labels[got], task.dataset.labels[own])
            for expected, structures in zip(
                jax.tree.leaves(task.dataset.structures),
                jax.tree.leaves(made.structures),
                strict=True,
            ):
                np.testing.assert_array_equal(structures[got], expected[own])


@pytest.mark.slow
def test_orthogonal_starts_do_not_wait_for_each_other(run_python, tmp_path):
    """jaxlib's QR of several stacks of matrices at once never returns on a CPU of two cores."""
    code = f"""
import jax
from qc_jax import models
from qc_jax.data import dataset, table
from qc_jax.runs import workdir
from qc_jax.train import config, stack
data = table.open_table("gfn2_xtb").take(range(100))
task = dataset.prepare(data, ("e_homo_ev",), 1)
model = models.create("dimenet")
work = workdir.Workdir({str(tmp_path)!r})
each = [stack.Training(model, task, config.TrainConfig(seed=seed), (work,)) for seed in range(8)]
jax.block_until_ready(stack.Stack(each).first_states())
print("done")
"""
    done = run_python("-c", code)
    assert done.stdout == "done\n", done.stderr
