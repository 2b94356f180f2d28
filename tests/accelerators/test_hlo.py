"""Counts of `fixtures/make_hlo.py`'s loop, which its source tells, in both compilers' words."""

import pathlib

import pytest

from qc_jax.accelerators import hlo
from tests.fixtures import make_hlo as made

FIXTURES = pathlib.Path(made.__file__).parent
WEIGHTS = 4 * made.WIDE * made.NARROW  # bytes


def module(platform: str) -> hlo.Module:
    return hlo.parse((FIXTURES / f"hlo_{platform}.txt").read_text())


def step(platform: str) -> hlo.Work:
    return hlo.step(module(platform))


@pytest.mark.parametrize("platform", ["tpu", "gpu"])
def test_a_step_adds_its_gradient_up_once(platform):
    assert step(platform).collectives == {"all-reduce": (1, WEIGHTS)}
    # Take rows, two products, tanh, the loss, all-reduce, descent, and what keeps the loss.
    assert 7 <= step(platform).kernels <= 10


def test_bytes_of_a_step():
    """On the TPU all of it fits into memory on the chip; on the GPU rows are not read whole."""
    assert step("tpu").bytes < 100
    dataset = 4 * made.ROWS * made.WIDE
    assert 7 * WEIGHTS < step("gpu").bytes < dataset


def test_cycles_are_of_tpus():
    assert step("tpu").cycles > 1000 and step("gpu").cycles == 0


@pytest.mark.parametrize("platform", ["tpu", "gpu"])
def test_an_epoch_has_its_steps(platform):
    """Loops count as often as they run, also where the number stands in the condition alone."""
    found = module(platform)
    whole = hlo.work(found, found.entry)
    assert whole.collectives == {"all-reduce": (made.STEPS, made.STEPS * WEIGHTS)}
    assert whole.kernels >= made.STEPS * step(platform).kernels


TEXT = """HloModule small

%one (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %n = f32[4]{0} negate(%p)
}

%two (p.1: f32[4]) -> f32[4] {
  %p.1 = f32[4]{0} parameter(0)
  %a = f32[4]{0} copy(%p.1)
  ROOT %b = f32[4]{0} copy(%a)
}

ENTRY %main (x: f32[4], i: s32[]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %i = s32[] parameter(1)
  %c = f32[4]{0} conditional(%i, %x, %x), branch_computations={%one, %two}
  ROOT %d = f32[4]{0} call(%c), to_apply=%one
}
"""


def test_branches_and_calls():
    """Of two branches the longer one counts."""
    assert hlo.work(hlo.parse(TEXT), "main") == hlo.Work(kernels=3, bytes=3 * 32)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("f32[]", 4),
        ("bf16[3,5]{1,0}", 30),
        ("pred[7]{0}", 7),
        ("s4[8]{0}", 4),
        ("c64[2]", 16),
        ("f8e4m3fn[10]{0}", 10),
        ("(f32[2]{0}, /*index=1*/u32[3]{0:T(128)})", 20),
        ("f32[100]{0:T(128)S(1)}", 0),
    ],
)
def test_sizes(shape, size):
    assert hlo.size_of(shape) == size


def test_sizes_anywhere():
    assert hlo.size_of("f32[100]{0:T(128)S(1)}", anywhere=True) == 400
