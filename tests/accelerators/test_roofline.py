import math

import pytest

from qc_jax.accelerators import roofline
from qc_jax.accelerators.chips import parse
from qc_jax.accelerators.hlo import Work

V5E = parse("tpu:v5e:2x2")
LAUNCH = V5E.chip.launch


def estimate(operations=0.0, kernels=1, bytes=0.0, told=None, chips=4, precision="bfloat16"):
    work = Work(kernels, bytes, {"all-reduce": told} if told else {})
    return roofline.estimate(V5E, precision, chips, operations, work)


@pytest.mark.parametrize(
    ("given", "limit", "seconds"),
    [
        ({"operations": 197e12}, "arithmetic", 1.0),
        ({"operations": 197e12, "precision": "float32"}, "arithmetic", 6.0),
        ({"bytes": 0.819e12}, "memory", 1.0),
        ({"kernels": 1000}, "launches", 1000 * LAUNCH),
        # A ring of four passes 2 · 3/4 of 200 GB at 200 GB/s.
        ({"told": (1, 200e9)}, "collectives", 1.5 + 2 * LAUNCH),
        ({"told": (3, 0.0), "kernels": 10}, "launches", 13 * LAUNCH),
    ],
)
def test_the_longest_limits(given, limit, seconds):
    got = estimate(**given)
    assert got.limit == limit and got.seconds == pytest.approx(seconds)


def test_one_chip_tells_nobody():
    assert estimate(told=(0, 1e9), chips=1).collectives == 0


def test_where_chips_stop_paying():
    """100 launches, and work of 4 chips that takes three times as long: 12 chips wait half."""
    some = estimate(operations=300 * LAUNCH * 197e12, kernels=100)
    assert roofline.pays_up_to(some, 4, most=64) in (11, 12)
    assert roofline.pays_up_to(some, 4, most=8) == 8
    assert roofline.pays_up_to(estimate(operations=1.0, kernels=100), 4, most=64) == 1


def test_clocks():
    """1,050 MHz is published of the TPU v4 (arXiv 2304.01433)."""
    assert roofline.clock(parse("tpu:v4:2x2x1")) == pytest.approx(1.05e9, rel=1e-3)
    assert math.isnan(roofline.clock(parse("tpu:v6e:2x2")))
