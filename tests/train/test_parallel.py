"""The number of devices changes nothing but rounding."""

import json

import jax
import numpy as np
import pytest

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.train import parallel
from qc_jax.train.config import TrainConfig
from qc_jax.train.stack import Training, devices_of

SCRIPT = """
import json, sys
import jax
from qc_jax.train import loop
from qc_jax.train.config import TrainConfig
from qc_jax.runs.workdir import Workdir
from tests.train import conftest

task = conftest.task.__wrapped__() if hasattr(conftest.task, "__wrapped__") else conftest.task()
lines = []
for model in (conftest.ElementSum(), conftest.Noisy()):
    work = Workdir(f"{sys.argv[1]}/{type(model).__name__}")
    work.claim({})
    trained = loop.fit(model, task, TrainConfig(epochs=4, batch_size=32, lr=0.05), [work])
    lines += [
        [line["loss"], line["validation_loss"], *line["validation_mae"].values()]
        for line in trained.history
    ]
    statistics = jax.tree.leaves(trained.state.statistics)
    lines += [leaf.tolist() for leaf in statistics]
print(json.dumps([jax.local_device_count(), *lines]))
"""


@pytest.mark.slow
def test_one_two_and_four_devices_agree(run_python, tmp_path):
    """With batch norm and dropout too, and a last batch that leaves devices without a row."""
    results = {}
    for devices in (1, 2, 4):
        done = run_python("-c", SCRIPT, tmp_path / str(devices), devices=devices)
        assert done.returncode == 0, done.stderr
        results[devices] = json.loads(done.stdout)
    for devices, (count, *lines) in results.items():
        assert count == devices
        for line, expected in zip(lines, results[1][1:], strict=True):
            assert line == pytest.approx(expected, rel=1e-4)
    assert len(results[1]) == 1 + 4 + 4 + 2  # epochs of both models, mean and variance


def test_devices_must_divide_the_batch(monkeypatch):
    monkeypatch.setattr(parallel.jax, "local_devices", lambda: jax.devices() * 3)
    with pytest.raises(
        InputError, match="batch_size 64 cannot be split over 3 devices; expected a"
    ):
        parallel.Devices("data", 1, 64)
    assert parallel.Devices("auto", 1, 66).sharing == 3
    assert parallel.Devices("auto", 2, 64).sharing == 1


def test_what_is_solved_has_no_batch_to_divide(task, monkeypatch):
    solved = Training(models.create("pair_mean"), task, TrainConfig(parallel="data"))
    monkeypatch.setattr(parallel.jax, "local_devices", lambda: jax.devices() * 3)
    assert devices_of([solved]).sharing == 3


STACK_SCRIPT = """
import json, sys
import jax
from qc_jax.train import loop
from tests.train import conftest, test_stack

conftest_task = conftest.task.__wrapped__()
trainings = test_stack.trainings(conftest_task, sys.argv[1])
ended = loop.fit_stack(trainings, sys.argv[1] + "/checkpoints")
print(json.dumps([jax.local_device_count(), *(
    [[line["loss"], line["validation_loss"]] for line in trained.history] for trained in ended
)]))
"""


@pytest.mark.slow
def test_trainings_are_shared_out(run_python, tmp_path):
    """Seven trainings on one device, and on three that they do not divide."""
    results = []
    for devices in (1, 3):
        done = run_python("-c", STACK_SCRIPT, tmp_path / str(devices), devices=devices)
        assert done.returncode == 0, done.stderr
        count, *lines = json.loads(done.stdout)
        assert count == devices and len(lines) == 7
        results.append(lines)
    for one, other in zip(*results, strict=True):
        # Stacks of one, three and seven round differently, and that grows with the epochs.
        np.testing.assert_allclose(one[:10], other[:10], rtol=1e-4)
        np.testing.assert_allclose(one, other, rtol=1e-3)
