"""CPUs stand for devices here, `test_compilers.py` has the real compilers."""

import jax
import pytest

from qc_jax.accelerators import computations, topology
from qc_jax.accelerators.chips import parse

GPU = parse("gpu:h100:1")


@pytest.fixture(autouse=True)
def _cpus(monkeypatch):
    monkeypatch.setattr(topology, "devices", lambda target: jax.devices()[:1] * target.chips)


def test_canvases():
    """Each is written once: 32 × 32 × 10 numbers."""
    got = computations.compile_one(GPU, "canvas", 100)
    written = 100 * 32 * 32 * 10 * 4
    assert got.reason == "" and written <= got.memory < 1.1 * written
    assert written <= got.work.bytes < 3 * written and got.estimate.limit in ("memory", "launches")
    assert got.largest_stack == pytest.approx(100 * 60e9 / got.memory, rel=1e-3)


def test_densities():
    got = computations.compile_one(GPU, "densities", 4)
    assert got.reason == "" and got.memory > 4 * 64 * 64 * 10 * 4


def test_tight_binding_needs_float64():
    got = computations.compile_one(parse("tpu:v5e:1x1"), "dftb", 10)
    assert got.reason == "needs float64, which a TPU has not: not compiled" and not got.failed


@pytest.mark.slow
def test_tight_binding():
    got = computations.compile_one(GPU, "dftb", 10)
    assert got.reason == "" and got.work.kernels > 100
    assert not jax.config.jax_enable_x64
