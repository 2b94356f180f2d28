"""TrainConfig: the published defaults, and values out of range."""

import json
import pathlib

import pytest

from qc_jax.errors import InputError
from qc_jax.train.config import TrainConfig

PUBLISHED = pathlib.Path(__file__).parents[3] / "shared" / "published" / "configuration.json"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("batch_size", 0, "batch_size: expected at least 1, got 0"),
        ("lr", -1.0, "lr: expected above 0"),
        ("lr", float("nan"), "lr: expected above 0, got nan"),
        ("loss", "huber", "unknown loss 'huber'; choose one of: mae, mse"),
        ("schedule", "linear", "choose one of: cosine, reduce_on_plateau"),
        ("plateau_factor", 1.0, "between 0 and 1"),
        ("weight_decay", -0.1, "weight_decay: expected at least 0"),
        ("min_lr", 1.0, r"min_lr: expected 0 to lr \(0.001\), got 1.0"),
        ("precision", "half", "unknown precision 'half'; choose one of: bfloat16, float32, tf32"),
        ("parallel", "both", "choose one of: auto, data, replicas"),
        ("checkpoint_minutes", -1, "checkpoint_minutes: expected at least 0"),
        ("seed", -1, "seed: expected 0"),
        ("force_weight", -1.0, "force_weight: expected at least 0"),
        ("layer_lr", "out", "layer_lr: expected LAYER=FACTOR .* like 'elements=0', got 'out'"),
        ("layer_lr", "out=1,elements=-1", "got 'elements=-1'"),
    ],
)
def test_out_of_range(field, value, words):
    with pytest.raises(InputError, match=words):
        TrainConfig(**{field: value})


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published configuration is not at hand")
def test_defaults_are_the_published_ones():
    training = json.loads(PUBLISHED.read_text())["pairs"]["training"]
    ours = TrainConfig()
    for name in ("batch_size", "epochs", "lr", "weight_decay", "loss", "early_stopping_patience"):
        assert getattr(ours, name) == training[name], name
    scheduler = training["scheduler"]
    assert ours.schedule == scheduler["name"]
    assert ours.plateau_factor == scheduler["factor"]
    assert ours.plateau_patience == scheduler["patience"]
    assert ours.min_lr == scheduler["min_lr"]
    assert ours.seed in training["seeds"]
