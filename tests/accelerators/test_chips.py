import pytest

from qc_jax.accelerators import chips
from qc_jax.accelerators.chips import CHIPS, parse
from qc_jax.errors import InputError


@pytest.mark.parametrize(
    ("name", "count", "processes"),
    [
        ("tpu:v5e:1x1", 1, 1),
        ("tpu:v5e:2x4", 8, 1),
        ("tpu:v5e:4x4", 16, 4),
        ("tpu:v6e:16x16", 256, 64),
        ("tpu:v4:2x2x1", 4, 1),
        ("tpu:v4:2x2x2", 8, 2),
        ("tpu:v5p:4x4x4", 64, 16),
        ("gpu:h100:1", 1, 1),
        ("gpu:h200:8", 8, 1),
        ("gpu:h200:64", 64, 64),
    ],
)
def test_targets(name, count, processes):
    target = parse(name)
    assert (target.name, target.chips, target.processes) == (name, count, processes)


def test_between_machines_gpus_are_slower():
    one, two = parse("gpu:h200:8"), parse("gpu:h200:16")
    assert one.link == one.chip.link > two.link == two.chip.network
    assert parse("tpu:v5e:16x16").link == parse("tpu:v5e:1x1").link


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v5e:4x4", "expected tpu:KIND:TOPOLOGY or gpu:KIND:NUMBER, got 'v5e:4x4'"),
        ("cpu:v5e:4x4", "unknown platform 'cpu'; choose one of: gpu, tpu"),
        ("tpu:v9:4x4", "unknown tpu kind 'v9'; choose one of: v4, v5e, v5p, v6e"),
        ("tpu:h200:4x4", "unknown tpu kind 'h200'"),
        ("gpu:b9000:1", "unknown gpu kind 'b9000'; choose one of: a100, h100, h200"),
        ("tpu:v5e:3x5", "unknown topology '3x5' of TPU v5e; choose one of: 1x1, 2x2, 2x4"),
        ("tpu:v4:4x4", "unknown topology '4x4' of TPU v4; choose one of: 1x1x1"),
        ("gpu:h200:0", "unknown number '0' of NVIDIA H200; expected 1 to 8, or machines of 8"),
        ("gpu:h200:12", "unknown number '12'"),
        ("gpu:h200:2x4", "unknown number '2x4'"),
    ],
)
def test_bad_input(text, words):
    with pytest.raises(InputError, match=words):
        parse(text)


def test_the_table_is_in_base_units():
    """Bytes, bytes a second, operations a second: a forgotten factor would show."""
    for chip in CHIPS.values():
        assert 1e10 < chip.memory < 1e12 and 5e11 < chip.bandwidth < 1e13
        assert 1e13 < chip.peak["float32"] < chip.peak["tf32"] < chip.peak["bfloat16"] < 2e15
        assert chip.network <= chip.link < chip.bandwidth and 1e-7 < chip.launch < 1e-5
        assert chip.source.startswith("https://")
        assert bool(chip.shapes) == (chip.platform == "tpu") != bool(chip.details)
    assert chips.CHIPS["v5e"].memory == 16 * 2**30
