"""dftb.log: the errors that stand nowhere else."""

import pytest

from qc_jax.engines.dftbplus import log
from tests.fixtures.dftbplus import make

SOUND = (make.TREE / "Cl_Mg" / "dftb.log").read_text()
ERROR = "ERROR!\n-> {}\nERROR STOP \n\nError termination. Backtrace:\n"


def test_a_run_that_went_well():
    assert log.parse(SOUND) == log.Log(release="25.1", failure=None, last_step=6)


def test_nothing_at_all():
    assert log.parse("") == log.Log(release=None, failure=None, last_step=None)


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (
            "SCC is NOT converged, maximal SCC iterations exceeded",
            "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in dftb.log",
        ),
        (
            "Atoms 2 and 1 too close together",
            "geometry: 'Atoms 2 and 1 too close together' in dftb.log",
        ),
        ("Disk full", "program: 'Disk full' in dftb.log"),
        ("Bad keyword\n-> Line: 3", "program: 'Bad keyword; Line: 3' in dftb.log"),
    ],
)
def test_errors(said, failure):
    assert str(log.parse(SOUND + ERROR.format(said)).failure) == failure


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_warnings_count_in_the_last_step_alone(newline):
    warning = "WARNING!\n-> SCC is NOT converged, maximal SCC iterations exceeded\n"
    step = "***  Geometry step: 6"
    early = SOUND.replace(step, warning + step).replace("\n", newline)
    assert log.parse(early) == log.Log("25.1", None, 6)
    assert str(log.parse(SOUND + warning).failure) == "SCC: 'SCC is NOT converged' in dftb.log"
    not_relaxed = SOUND + "WARNING!\n-> !!! Geometry did NOT converge!\n"
    assert (
        str(log.parse(not_relaxed).failure) == "geometry: 'Geometry did NOT converge' in dftb.log"
    )


def test_a_warning_of_something_else_is_no_failure():
    warning = "WARNING!\n-> Current stacksize not set to unlimited or hard limit\n"
    assert log.parse(warning + SOUND).failure is None


def test_periodic():
    text = SOUND.replace("Periodic boundaries:         No", "Periodic boundaries:         Yes")
    assert str(log.parse(text).failure).startswith("periodic: ")


def test_a_release_that_is_cut_is_none():
    end = SOUND.index("25.1") + 3
    assert log.parse(SOUND[:end]).release is None
    assert log.parse(SOUND[: end + 2]).release == "25.1"
