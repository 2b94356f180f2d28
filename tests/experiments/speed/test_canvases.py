import pytest

from experiments.speed.canvases import time_canvas


def test_numbers_belong_together():
    got = time_canvas(batch=16, size=8, rounds=3)
    assert got.ratio > 0 and got.encoded_per_s > 0
    assert got.gigabytes_per_s == pytest.approx(got.canvases_per_s * 8 * 8 * 10 * 4 / 1e9)


@pytest.mark.slow
def test_rendering_costs_what_writing_costs():
    # More than fits into caches. Other work on the machine can spoil one try, hardly all of them.
    tries = [time_canvas(batch=2048, rounds=11) for _ in range(3)]
    assert min(got.ratio for got in tries) < 1.2
    # As tests compile, with few optimisations; as users do, it is about 48.
    assert max(got.canvases_per_s / got.encoded_per_s for got in tries) > 10
