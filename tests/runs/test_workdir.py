"""One directory, one run."""

import subprocess
import sys

import pytest

from qc_jax.errors import InputError
from qc_jax.runs.workdir import Workdir

CONFIG = {"target": "e_g_ev", "model": {"name": "egnn", "hidden": 94}}


def test_claim_is_repeatable(tmp_path):
    work = Workdir(tmp_path / "a" / "b")
    work.claim(CONFIG)
    work.claim(CONFIG)
    assert work.config() == CONFIG
    assert work.result() is None
    work.write_result({"test": 1})
    assert work.result() == {"test": 1}


def test_tuples_are_lists_on_disk(tmp_path):
    for _ in range(2):
        Workdir(tmp_path).claim({"model": {"channels": (0, 1)}})
    with pytest.raises(InputError, match=r"model\.channels is \[0, 1\] there, \[0, 2\] asked"):
        Workdir(tmp_path).claim({"model": {"channels": (0, 2)}})


def test_another_run_is_refused_and_nothing_is_touched(tmp_path):
    work = Workdir(tmp_path)
    work.claim(CONFIG)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other = {"target": "e_g_ev", "model": {"name": "egnn", "hidden": 16}}
    with pytest.raises(InputError, match=r"model\.hidden is 94 there, 16 asked"):
        work.claim(other)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_places_that_cannot_be_claimed(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        Workdir(tmp_path).claim(CONFIG)
    with pytest.raises(InputError, match="expected a directory, got a file"):
        Workdir(tmp_path / "note.txt").claim(CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_one_process_trains_at_a_time(tmp_path):
    """And one that was killed is in nobody's way."""
    work = Workdir(tmp_path)
    work.claim(CONFIG)
    code = "from qc_jax.runs.workdir import Workdir; import sys; Workdir(sys.argv[1]).lock(); "
    other = subprocess.Popen(
        [sys.executable, "-c", code + "print('held', flush=True); sys.stdin.read()", tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process trains here"):
        work.lock()
    Workdir(tmp_path, writes=False).lock()  # this one would write nothing
    other.kill()
    other.communicate()
    work.lock()
    work.lock()


def test_a_claim_that_was_killed_is_made_again(tmp_path):
    (tmp_path / "config.json.partial").write_text('{"tar')
    Workdir(tmp_path).claim(CONFIG)
    assert Workdir(tmp_path).config() == CONFIG
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"not a work directory of experiments\.train"):
        Workdir(tmp_path).config()
    (tmp_path / "config.json").write_text('{"target": ')
    with pytest.raises(InputError, match=r"config\.json: not JSON, or cut short"):
        Workdir(tmp_path).config()
    with pytest.raises(InputError, match="expected 2 epochs, as in the checkpoint, got 0"):
        Workdir(tmp_path).metrics(2)


def test_fields_that_an_earlier_version_had_not_are_what_they_stand_for(tmp_path):
    """Both ways; another value is another run."""
    old, new = CONFIG, {**CONFIG, **ADDED}
    for first, second in ((old, new), (new, old)):
        work = Workdir(tmp_path / str(len(first)))
        work.claim(first)
        work.claim(second)
        assert work.config() == first
        with pytest.raises(InputError, match=r"train_fraction is 1\.0 there, 0\.5 asked"):
            work.claim({**new, "train_fraction": 0.5})
    with pytest.raises(InputError, match="epochs is None there, 3 asked"):
        work.claim({**new, "epochs": 3})  # only those fields
