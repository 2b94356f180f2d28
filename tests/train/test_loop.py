"""The training loop: what it keeps, where it stops, how it resumes, that it compiles once."""

import json
import shutil
import time

import jax
import numpy as np
import optax
import pytest

from qc_jax import models, testing
from qc_jax.data.stream import Stream
from qc_jax.errors import InputError
from qc_jax.evaluate.predict import predict
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.config import TrainConfig
from qc_jax.train.observers import Callbacks
from qc_jax.train.state import init


def equal(one, other):
    """Two pytrees are the same bits."""
    same = jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), one, other)
    return all(jax.tree.leaves(same))


def plain_adam(model, task, settings, epochs):
    """The same training written plainly: one step at a time, one device, optax.adam alone."""
    state = init(model, task.dataset.take(np.arange(1)).structures, task.scaler, settings)
    params, key = state.params, jax.random.wrap_key_data(state.key)
    adam = optax.adam(settings.lr)
    opt_state = adam.init(params)

    @jax.jit
    def loss_of(params, batch):
        predicted = models.apply(model, {"params": params}, batch.structures)
        return abs(predicted - task.scaler.scale(batch.labels)).mean()

    gradient = jax.jit(jax.grad(loss_of))
    validation = []
    for epoch in range(epochs):
        order_key, _ = jax.random.split(jax.random.fold_in(key, epoch))
        order = np.asarray(jax.random.permutation(order_key, task.split.train))
        for start in range(0, len(order), settings.batch_size):
            batch = task.dataset.take(order[start : start + settings.batch_size])
            updates, opt_state = adam.update(gradient(params, batch), opt_state)
            params = optax.apply_updates(params, updates)
        validation.append(float(loss_of(params, task.dataset.take(task.split.validation))))
    return params, validation


def test_equals_a_plain_loop(model, task, workdir):
    """The last batch too, which 164 training rows leave with 4 rows of 32."""
    settings = TrainConfig(epochs=3, batch_size=32, lr=0.05)
    assert len(task.split.train) % settings.batch_size
    trained = loop.fit(model, task, settings, [workdir])
    params, validation = plain_adam(model, task, settings, epochs=3)
    got = [line["validation_loss"] for line in trained.history]
    np.testing.assert_allclose(got, validation, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        trained.state.params,
        params,
    )


def test_best_weights_are_kept_and_training_stops_early(model, task, workdir):
    """Not the last ones, and not an alias of them."""
    settings = TrainConfig(epochs=60, batch_size=32, lr=0.3, early_stopping_patience=6)
    trained = loop.fit(model, task, settings, [workdir])
    losses = [line["validation_loss"] for line in trained.history]
    best = int(np.argmin(losses)) + 1
    assert int(trained.state.best_epoch) == best
    assert len(losses) == best + 6 < 60
    rows = task.split.validation
    validation = task.dataset.take(rows)
    predicted = predict(model, trained.state.best_variables, task.scaler, validation.structures)
    mae = np.abs(predicted - np.asarray(validation.labels)).mean(axis=0)
    recorded = list(trained.history[best - 1]["validation_mae"].values())
    np.testing.assert_allclose(mae, recorded, rtol=1e-5)
    assert not equal(trained.state.best_params, trained.state.params)


def test_the_published_best_is_the_last(model, task, workdir):
    """Nothing else changes: the best epoch is still told, and stops the training."""
    settings = TrainConfig(epochs=60, batch_size=32, lr=0.3, early_stopping_patience=6, keep="last")
    trained = loop.fit(model, task, settings, [workdir])
    losses = [line["validation_loss"] for line in trained.history]
    assert int(trained.state.best_epoch) == int(np.argmin(losses)) + 1 == len(losses) - 6
    assert equal(trained.state.best_params, trained.state.params)


def test_batch_norm_and_dropout(noisy, task, workdir):
    """Averages move in training, stand still in validation, and are kept with the best weights."""
    settings = TrainConfig(epochs=12, batch_size=32, lr=0.1, early_stopping_patience=20)
    trained = loop.fit(noisy, task, settings, [workdir])
    state = trained.state
    best = int(state.best_epoch)
    assert best < 12 and not equal(state.best_statistics, state.statistics)
    assert not equal(state.statistics["batch_stats"]["BatchNorm_0"]["mean"], np.zeros(8))
    rows = task.split.validation
    validation = task.dataset.take(rows)
    predicted = predict(noisy, state.best_variables, task.scaler, validation.structures)
    mae = np.abs(predicted - np.asarray(validation.labels)).mean(axis=0)
    recorded = list(trained.history[best - 1]["validation_mae"].values())
    np.testing.assert_allclose(mae, recorded, rtol=1e-5)


def test_a_model_is_not_trained_on_what_it_cannot_take(model, task, workdir):
    positions = np.array(task.dataset.structures.positions)
    positions[3, 1] = np.nan
    structures = task.dataset.structures.replace(positions=positions)
    broken = task._replace(dataset=task.dataset.replace(structures=structures))
    with pytest.raises(InputError, match="row_3: expected finite positions"):
        loop.fit(model, broken, TrainConfig(epochs=1, batch_size=32), [workdir])


def test_learns(model, task, workdir):
    trained = loop.fit(model, task, TrainConfig(epochs=40, batch_size=32, lr=0.03), [workdir])
    test = task.dataset.take(task.split.test)
    predicted = predict(model, trained.state.best_variables, task.scaler, test.structures)
    mae = np.abs(predicted - np.asarray(test.labels)).mean(axis=0)
    assert (mae < 0.3 * np.asarray(test.labels).std(axis=0)).all()


def test_resumes_to_the_same_bits(noisy, task, workdir, tmp_path):
    """From a checkpoint of epoch 4, with metrics of epochs that it does not cover, one torn.

    Batch norm's averages and dropout's keys come back too.
    """
    model = noisy
    settings = TrainConfig(epochs=7, batch_size=32, checkpoint_every=2)
    whole = loop.fit(model, task, settings, [workdir])

    cut = Workdir(tmp_path / "cut")
    shutil.copytree(workdir.path, cut.path)
    shutil.rmtree(cut.checkpoints)
    loop.fit(model, task, TrainConfig(epochs=4, batch_size=32, checkpoint_every=2), [cut_copy(cut)])
    lines = (workdir.path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (cut.path / "metrics.jsonl").write_text("".join(lines[:5]) + lines[5][:20])
    told = []
    resumed = loop.fit(model, task, settings, [cut, Callbacks(told.append)])
    assert equal(resumed.state, whole.state)

    def timeless(line):
        return {key: value for key, value in line.items() if key != "seconds"}

    written = [json.loads(line) for line in (cut.path / "metrics.jsonl").read_text().splitlines()]
    assert [timeless(line) for line in written] == [timeless(line) for line in whole.history]
    assert told == written


def cut_copy(cut: Workdir) -> Workdir:
    (cut.path / "metrics.jsonl").unlink()
    return cut


def test_a_finished_training_is_not_trained_again(model, task, workdir):
    settings = TrainConfig(epochs=2, batch_size=32)
    first = loop.fit(model, task, settings, [workdir])
    with testing.count_compilations() as compilations:
        again = loop.fit(model, task, settings, [workdir])
    assert equal(again.state, first.state) and again.history == first.history
    assert again.compile_seconds == 0
    assert len(compilations) <= 3  # restoring, not training


def streamed(task):
    """The same task, its structures read record by record."""
    structures = task.dataset.structures
    records = [
        {"atomic_numbers": np.asarray(numbers), "positions": np.asarray(positions)}
        for numbers, positions in zip(structures.atomic_numbers, structures.positions, strict=True)
    ]
    return task._replace(dataset=Stream(records, dict, np.asarray(task.dataset.labels), atoms=2))


@pytest.mark.slow
def test_structures_from_disk_give_the_same(noisy, task, workdir, tmp_path):
    """Batch order, dropout and the last batch too; and it resumes."""
    settings = TrainConfig(epochs=5, batch_size=32, lr=0.03, checkpoint_every=2)
    whole = loop.fit(noisy, task, settings, [workdir])
    read = Workdir(tmp_path / "read")
    read.claim({})
    told = []
    with pytest.raises(loop.Interrupted):
        loop.fit(
            noisy,
            streamed(task),
            settings,
            [read, Callbacks(told.append, stop=lambda: len(told) == 3)],
        )
    start = time.perf_counter()
    got = loop.fit(noisy, streamed(task), settings, [read])
    took = time.perf_counter() - start
    # The first epoch compiles, which counts once; three epochs are of the call before.
    before = sum(line["seconds"] for line in got.history[:3])
    assert sum(got.seconds.values()) < took + before
    assert len(got.history) == 5 and all(0 <= line["waited"] < 1 for line in got.history)
    for line, expected in zip(got.history, whole.history, strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert line["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-5)
    test = streamed(task).dataset.take(task.split.test)
    assert predict(noisy, got.state.best_variables, task.scaler, test.structures).shape == (21, 2)


def test_structures_from_disk_are_checked(model, task, workdir):
    broken = streamed(task)
    broken.dataset._source[3]["positions"] = np.full((2, 3), np.nan)
    with pytest.raises(InputError, match="expected finite positions"):
        loop.fit(model, broken, TrainConfig(epochs=1, batch_size=32), [workdir])


def test_bfloat16_is_near(noisy, task, tmp_path):
    """Other numbers than in float32, but not by much; what is kept stays in float32."""
    histories = {}
    for precision in ("float32", "bfloat16"):
        work = Workdir(tmp_path / precision)
        work.claim({})
        settings = TrainConfig(epochs=6, batch_size=32, lr=0.03, precision=precision)
        trained = loop.fit(noisy, task, settings, [work])
        histories[precision] = [line["validation_loss"] for line in trained.history]
        dtypes = {leaf.dtype for leaf in jax.tree.leaves(trained.state.best_variables)}
        assert dtypes == {np.dtype("float32")}
    assert histories["bfloat16"] != histories["float32"]
    np.testing.assert_allclose(histories["bfloat16"], histories["float32"], rtol=0.05)


def test_checkpoints_by_the_clock(model, task, workdir):
    settings = TrainConfig(epochs=4, batch_size=32, checkpoint_every=1000, checkpoint_minutes=1e-9)
    loop.fit(model, task, settings, [workdir])
    assert sorted(path.name for path in workdir.checkpoints.iterdir()) == ["2", "3", "4"]


def test_compiles_once(model, task, tmp_path):
    """However many epochs, and with an uneven last batch."""
    counts = []
    # The first also compiles what a process needs once; the same again would compile nothing.
    for run, epochs in enumerate((1, 2, 5)):
        work = Workdir(tmp_path / str(run))
        work.claim({})
        with testing.count_compilations() as compilations:
            loop.fit(model, task, TrainConfig(epochs=epochs, batch_size=32), [work])
        counts.append(len(compilations))
    assert 0 < counts[1] == counts[2]


def test_what_is_no_epoch_is_a_handful_of_programs(model, task):
    """A program for each weight and each column, as JAX makes them one by one, took seconds."""
    jax.clear_caches()
    with testing.count_compilations() as programs:
        loop.fit(model, task, TrainConfig(epochs=1, batch_size=32))
    assert 0 < len(programs) <= 5, programs


def test_loss_that_is_not_finite_stops_the_run(model, task, workdir):
    labels = task.dataset.labels.at[task.split.train[5], 1].set(np.inf)
    broken = task._replace(dataset=task.dataset.replace(labels=labels))
    with (
        jax.debug_nans(False),
        pytest.raises(InputError, match=r"not finite in epoch 1, step \d of 6, at lr 0.001"),
    ):
        loop.fit(model, broken, TrainConfig(epochs=3, batch_size=32), [workdir])
    with Checkpoints(workdir.checkpoints) as checkpoints:
        assert checkpoints.latest(like={}) is None


def test_checkpoint_of_another_model(model, task, workdir):
    settings = TrainConfig(epochs=1, batch_size=32)
    loop.fit(model, task, settings, [workdir])
    narrower = type(model)(outputs=1)
    one = task._replace(
        targets=task.targets[:1],
        dataset=task.dataset.replace(labels=task.dataset.labels[:, :1]),
        scaler=jax.tree.map(lambda leaf: leaf[:1], task.scaler),
    )
    with pytest.raises(
        InputError,
        match=r"checkpoints/1: the checkpoint of another model: .* has shape .* there, expected",
    ):
        loop.fit(narrower, one, settings, [workdir])
