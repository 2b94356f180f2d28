import importlib.util
import os

import jax
import pytest

from qc_jax.accelerators import topology
from qc_jax.accelerators.chips import parse
from qc_jax.errors import InputError


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (
            "tpu:v5e:4x4",
            "tpu:v5e:4x4: libtpu, the compiler for TPUs, is not installed",
        ),
        ("gpu:h200:8", r"for GPUs, is not installed; `pip install 'qc-jax\[cuda\]'` brings it"),
    ],
)
def test_what_is_missing_is_told_with_what_brings_it(device, words, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=words):
        topology.devices(parse(device))


def test_prepare_keeps_other_flags(monkeypatch):
    monkeypatch.setattr(os, "environ", {"XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"})
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)
    topology.prepare()
    topology.prepare()
    flags = "--xla_cpu_use_fusion_emitters=false --xla_gpu_autotune_level=0"
    assert os.environ["XLA_FLAGS"] == flags and os.environ["JAX_PLATFORMS"] == "cpu"


def test_quiet(capfd):
    with topology.quiet():
        os.write(2, b"what a library tells")
    os.write(2, b"what we tell")
    assert capfd.readouterr().err == "what we tell"
    with pytest.raises(ZeroDivisionError), topology.quiet():
        1 / 0  # noqa: B018
    os.write(2, b"after an error")
    assert capfd.readouterr().err == "after an error"
