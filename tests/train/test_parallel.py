"""The number of devices changes nothing but rounding."""

import json

import pytest

from qc_jax.errors import InputError
from qc_jax.train import parallel

SCRIPT = """
import json, sys
import jax
from qc_jax.train import loop
from qc_jax.train.settings import Settings
from qc_jax.train.workdir import Workdir
from tests.train import conftest

work = Workdir(sys.argv[1])
work.claim({})
task = conftest.task.__wrapped__() if hasattr(conftest.task, "__wrapped__") else conftest.task()
trained = loop.fit(conftest.ElementSum(), task, Settings(epochs=4, batch_size=32, lr=0.05), work)
print(json.dumps([jax.local_device_count(), *(
    [line["loss"], line["validation_loss"], *line["validation_mae"].values()]
    for line in trained.history
)]))
"""


def test_one_two_and_four_devices_agree(run_python, tmp_path):
    results = {}
    for devices in (1, 2, 4):
        done = run_python("-c", SCRIPT, tmp_path / str(devices), devices=devices)
        assert done.returncode == 0, done.stderr
        results[devices] = json.loads(done.stdout)
    for devices, (count, *lines) in results.items():
        assert count == devices
        for line, expected in zip(lines, results[1][1:], strict=True):
            assert line == pytest.approx(expected, rel=1e-5)


def test_devices_must_divide_the_batch(monkeypatch):
    monkeypatch.setattr(parallel.jax, "local_device_count", lambda: 3)
    with pytest.raises(
        InputError, match="batch_size 64 cannot be split over 3 devices; expected a"
    ):
        parallel.local_devices(64)
    assert parallel.local_devices(66) == 3
