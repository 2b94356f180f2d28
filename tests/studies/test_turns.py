import time

import numpy as np

from qc_jax.studies.turns import take_turns


def test_each_runs_once_a_round_after_a_warm_up():
    calls = []
    seconds = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 5)
    assert {name: taken.shape for name, taken in seconds.items()} == {"a": (5,), "b": (5,)}
    assert calls[:2] == ["a", "b"]
    rounds = [calls[2 + 2 * i : 4 + 2 * i] for i in range(5)]
    assert all(sorted(names) == ["a", "b"] for names in rounds)
    assert len(set(map(tuple, rounds))) == 2, "the order never changed"


def test_seconds_are_those_of_each():
    slow_start = iter([0.2])  # compiling, say: not in the times
    seconds = take_turns(
        {"long": lambda: time.sleep(0.02), "short": lambda: time.sleep(next(slow_start, 0.001))}, 3
    )
    assert np.all(seconds["long"] >= 0.02) and seconds["short"].min() < 0.02


def test_rounds_end_when_they_have_taken_long():
    assert take_turns({"nap": lambda: time.sleep(0.01)}, 50, most_seconds=0.1)["nap"].size < 12
    assert take_turns({"nap": lambda: time.sleep(0.01)}, 50, most_seconds=0)["nap"].size == 1
