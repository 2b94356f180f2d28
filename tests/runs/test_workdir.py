"""One directory, one run."""

import subprocess
import sys

import pytest

from qc_jax.errors import InputError
from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir

CONFIG = {"target": "e_g_ev", "model": {"name": "egnn", "hidden": 94}}


def test_claim_is_repeatable(tmp_path):
    work = Workdir(tmp_path / "a" / "b")
    work.claim(CONFIG)
    work.claim(CONFIG)
    assert work.result() is None
    result = {
        **dict.fromkeys(("model", "dataset", "data_fingerprint", "split"), "x"),
        **dict.fromkeys(("parameters", "epochs", "best_epoch"), 3),
        **{key: {} for key in ("units", "leaked_by", "test", "baselines")},
        **{key: {} for key in ("left_out", "seconds", "versions")},
        "split_sizes": {"train": 1, "validation": 1, "test": 1},
    }
    work.write_result(result)
    assert work.result() == result


def test_tuples_are_lists_on_disk(tmp_path):
    for _ in range(2):
        Workdir(tmp_path).claim({"model": {"channels": (0, 1)}})
    with pytest.raises(InputError, match=r"model\.channels is \[0, 1\] there, \[0, 2\] asked"):
        Workdir(tmp_path).claim({"model": {"channels": (0, 2)}})


def test_fields_that_came_later_have_their_defaults(tmp_path):
    whole = RunConfig.from_dict({"model": "egnn", "target": "e_g_ev"})
    old = whole.to_dict()
    del old["images"], old["model"]["move_atoms"]
    Workdir(tmp_path).claim(old)
    Workdir(tmp_path).claim(whole.to_dict(), whole.defaults)
    for field, value in (("images", "densities"), ("model", {"name": "egnn", "move_atoms": False})):
        other = whole.replace(**{field: value})
        with pytest.raises(InputError, match=f"{field}.* there, .* asked"):
            Workdir(tmp_path).claim(other.to_dict(), other.defaults)


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
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"not the directory of a training"):
        Workdir(tmp_path).config()
    (tmp_path / "config.json").write_text('{"target": ')
    with pytest.raises(InputError, match=r"config\.json: not JSON, or cut short"):
        Workdir(tmp_path).config()
    with pytest.raises(InputError, match="expected 2 epochs, as in the checkpoint, got 0"):
        Workdir(tmp_path).history(2)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.json", "[]", r"config\.json: expected fields and their values, got \[\]"),
        ("config.json", "{}", "expected a run's schema, got none"),
        (
            "config.json",
            '{"schema": 99, "model": {"name": "egnn"}}',
            "schema: expected at most 1, got 99: of a newer qc_jax",
        ),
        ("config.json", '{"schema": 1}', "model: expected its name and hyper-parameters, got none"),
        (
            "config.json",
            '{"schema": 1, "model": "egnn"}',
            "model: expected its hyper-parameters, got 'egnn'",
        ),
        ("config.json", '{"schema": 1, "model": {"name": ""}}', "expected the name of a model"),
        ("config.json", '{"schema": 1, "model": {"name": "gcn"}, "epochs": "many"}', "epochs: exp"),
        ("config.json", '{"schema": 1, "model": {"name": "gcn"}, "split": null}', "split: expec"),
        ("config.json", '{"schema": 1, "model": {"name": "gcn"}, "data": 3}', "data: expected te"),
        ("config.json", '{"schema": 1, "model": {"name": "gcn"}, "dta": "x"}', "unknown field 'd"),
        ("result.json", "[]", r"result\.json: expected fields and their values"),
        ("result.json", "{}", "expected a field 'model', got none"),
        ("result.json", '{"model": 3}', r"result\.json: model: expected text, got 3"),
        ("failure.json", "[]", r"failure\.json: expected fields and their values"),
        ("failure.json", '{"error": {}}', r"failure\.json: error: expected text, got \{\}"),
    ],
)
def test_json_of_another_kind(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    work = Workdir(tmp_path)
    read = {"config.json": work.config, "result.json": work.result, "failure.json": work.failure}
    with pytest.raises(InputError, match=words):
        read[name]()


def test_metrics_that_are_none(tmp_path):
    for text in ("garbage\n", "[1]\n", '{"loss": 1}\n', '{"epoch": 1, "seconds": "x"}\n'):
        (tmp_path / "metrics.jsonl").write_text(text)
        with pytest.raises(InputError, match=r"metrics\.jsonl, line 1: expected what epoch 1"):
            Workdir(tmp_path).history(1)


def test_epochs_without_a_checkpoint_are_forgotten(tmp_path):
    """Of a run that was killed before its first checkpoint, and begins anew."""
    workdir = Workdir(tmp_path)
    workdir.on_epoch({"epoch": 1, "loss": 0.5, "validation_loss": 0.4, "lr": 1e-3})
    assert workdir.history(0) == []
    assert (tmp_path / "metrics.jsonl").read_text() == ""
