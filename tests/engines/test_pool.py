"""Workers that crash, hang or raise cost one pair, and the others go on."""

import pytest

from qc_jax.chem.elements import pair_names
from qc_jax.engines.pool import compute_pairs
from qc_jax.engines.record import Record
from tests.engines.toys import ToyEngine, toy_record

NAMES = pair_names(["C", "H", "N", "O"])


@pytest.mark.parametrize("workers", [1, 2, 20])
def test_every_pair_once(tmp_path, workers):
    engine = ToyEngine(str(tmp_path / "log"))
    names = NAMES[: 4 if workers == 20 else None]
    answers = list(compute_pairs(engine, names, workers, 60))
    assert sorted(answers, key=lambda a: a[0]) == [(name, toy_record(name)) for name in names]
    assert sorted(engine.computed()) == names


def test_bad_pairs_cost_themselves_only(tmp_path):
    engine = ToyEngine(
        str(tmp_path / "log"),
        fails=("C_C",),
        crashes=("C_H", "O_O"),  # the last one too: no pair is left to start a new worker for
        hangs=("H_N",),
        raises=("N_N",),
    )
    answers = dict(compute_pairs(engine, NAMES, 2, 2))
    assert sorted(answers) == NAMES
    bad = {name: answer for name, answer in answers.items() if not isinstance(answer, Record)}
    assert bad == {
        "C_C": "SCF: does not converge",
        "C_H": "crash: the process ended with exit code 7",
        "O_O": "crash: the process ended with exit code 7",
        "H_N": "timeout: not ready after 2 s",
        "N_N": "error: ZeroDivisionError: a bug",
    }


def test_nothing_to_do(tmp_path):
    assert list(compute_pairs(ToyEngine(str(tmp_path / "log")), [], 2, 60)) == []


class Unloadable:
    def __reduce__(self):
        return (exec, ("raise SystemExit(3)",))


def test_worker_that_cannot_start_is_told():
    with pytest.raises(RuntimeError, match="a worker ended before its first pair"):
        list(compute_pairs(Unloadable(), NAMES, 1, 60))  # type: ignore[arg-type]
