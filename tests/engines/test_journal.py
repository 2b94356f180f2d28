"""The journal after kills, of other runs, damaged, and in use."""

import pytest

from qc_jax.engines.journal import Journal
from qc_jax.errors import InputError
from tests.engines.toys import toy_record

RUN = {"engine": "toy", "elements": ["C", "H"], "settings": {"step": 0.1, "mixers": [[4, 0.2]]}}


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "table.npz.journal")
    with Journal(path, RUN) as journal:
        journal.add("C_C", toy_record("C_C"))
        journal.add("He_He", toy_record("He_He"))
        journal.add("C_H", "SCF: does not converge")
    return path


def test_read_again(path):
    with Journal(path, RUN) as journal:
        assert list(journal.answers) == ["C_C", "He_He", "C_H"]
        assert journal.answers["C_C"] == toy_record("C_C")  # to the last bit
        assert str(journal.answers["He_He"]) == str(toy_record("He_He"))  # NaN kept
        assert journal.answers["C_H"] == "SCF: does not converge"


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_torn_last_line_is_dropped(path, cut):
    with open(path, "rb+") as file:
        file.truncate(file.seek(0, 2) - cut)
    with Journal(path, RUN) as journal:
        assert list(journal.answers) == ["C_C", "He_He"]
        journal.add("H_H", toy_record("H_H"))
    with Journal(path, RUN) as journal:
        assert list(journal.answers) == ["C_C", "He_He", "H_H"]


def test_torn_first_line_starts_afresh(tmp_path):
    path = tmp_path / "journal"
    path.write_text('{"engine": "to')
    with Journal(str(path), RUN) as journal:
        assert journal.answers == {}
    with Journal(str(path), RUN) as journal:
        assert journal.answers == {}


@pytest.mark.parametrize(
    ("run", "differs"),
    [
        (RUN | {"elements": ["C", "N"]}, "other elements;"),
        (RUN | {"settings": {"step": 0.2, "mixers": [[4, 0.2]]}}, "other settings;"),
        (RUN | {"engine": "other", "more": 1}, "other engine, more;"),
    ],
)
def test_other_run_is_refused(path, run, differs):
    with open(path, "rb") as file:
        before = file.read()
    with pytest.raises(InputError, match=f"begun by a run with {differs}"):
        Journal(path, run)
    with open(path, "rb") as file:
        assert file.read() == before


def test_damage_names_the_line(path):
    with open(path) as file:
        lines = file.readlines()
    lines[2] = lines[2].replace('"distance"', '"distanc"')
    with open(path, "w") as file:
        file.writelines(lines)
    with pytest.raises(InputError, match="line 3 is damaged"):
        Journal(path, RUN)


def test_not_a_journal(tmp_path):
    path = tmp_path / "journal"
    path.write_text("a shopping list\n")
    with pytest.raises(InputError, match="line 1 is damaged"):
        Journal(str(path), RUN)
    assert path.read_text() == "a shopping list\n"


def test_in_use(path):
    with (
        Journal(path, RUN),
        pytest.raises(InputError, match="another run is writing this table"),
    ):
        Journal(path, RUN)


def test_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        Journal(str(tmp_path / "nowhere" / "journal"), RUN)
