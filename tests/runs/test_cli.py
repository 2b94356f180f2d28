"""How a script ends: 0, 2 with one line, 1 with a traceback for a bug, or by a signal."""

import errno
import json
import os
import signal
import textwrap

import pytest

from qc_jax.errors import InputError
from qc_jax.runs import cards, cli
from qc_jax.runs.config import RunConfig
from qc_jax.train import loop

CARD = """
    import ml_collections
    from qc_jax.errors import choose

    def get_config(preset=""):
        choose("preset", preset, ("", "quick"))
        model = {"name": "egnn", "hidden": 8}
        fields = {"lr": 0.1, "epochs": 3, "stream": False, "model": model}
        return ml_collections.ConfigDict(fields)
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a script's `main` with a command line: its exit code, output and errors."""
    (tmp_path / "configs").mkdir()
    for name in ("configs/known.py", "own.py"):
        (tmp_path / name).write_text(textwrap.dedent(CARD))
    (tmp_path / "broken.py").write_text("def get_config():\n    return 1 / 0\n")
    (tmp_path / "typo.py").write_text(
        "import ml_collections\n\ndef get_config():\n"
        "    config = ml_collections.ConfigDict({'epochs': 1}).lock()\n    config.epocs = 3\n"
    )
    (tmp_path / "syntax.py").write_text("def get_config():\n    return (\n")
    (tmp_path / "bytes.py").write_bytes(b"\x00")
    (tmp_path / "README.md").write_text("# no card\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cards, "FOLDER", tmp_path / "configs")

    def run(*args, main=None, words=None, needed=False, config=False):
        flags = cli.Flags("About it.")
        count = flags.integer("count", 1, "How many.", lower_bound=1)
        flags.enum("engine", "tblite", ["tblite", "published"], "Which one.")
        flags.string("needed", None, "What has no default.", required=needed)
        card = flags.card(required=False)
        shown = (
            (lambda _: print(json.dumps(card.value)))
            if config
            else (lambda rest: print(count.value, rest))
        )
        monkeypatch.setattr("sys.argv", ["script", *args])
        code = 0
        try:
            cli.run(main or shown, flags, words)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def raising(error):
    def main(_):
        raise error

    return main


def test_a_good_run(run):
    assert run("Ag", "--count=3", "Al", words="A B") == (0, "3 ['Ag', 'Al']\n", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--conut=3"], ["conut", "count"]),
        (["--count=three"], ["count", "three"]),
        (["--count=0"], ["count", "0"]),
        (["--engine=psi4"], ["psi4", "tblite"]),
        (["--count"], ["count"]),
        (["config.epochs=3"], ["got 'config.epochs=3'; did you mean --config.epochs=3?"]),
        (["more"], ["expected flags only, got 'more'\n"]),
        (["--config=own.py", "--config.lrr=0.2"], ["'lrr'", "choose one of: epochs, lr, model, "]),
        (["--config=own.py:slow"], ["own.py: unknown preset 'slow'; choose one of: '', quick\n"]),
        (["--config=own.py", "--confg.lr=0.2"], ["confg.lr"]),
        (
            ["--config=own.py", "--config.epochs=many"],
            ["--config.epochs: expected a whole", "many"],
        ),
        (["--config=own.py", "--config.epochs=1.5"], ["expected a whole number, got '1.5'"]),
        (["--config=own.py", "--config.stream=maybe"], ["expected true or false, got 'maybe'"]),
        (["--config=own.py", "--config.lr=fast"], ["expected a number, got 'fast'"]),
        (["--config.lr=1"], ["--config.lr: expected --config=CARD, too"]),
        (["--config=none.py"], ["none.py: no such file; expected a card's name"]),
        (["--config=README.md"], ["expected FILE.py or the name of a card: known\n"]),
        (["--config=egn"], ["--config=egn: expected FILE.py or the name of a card: known\n"]),
        (["--config=broken.py"], ["broken.py: line 2: ZeroDivisionError: division by zero"]),
        (["--config=typo.py"], ["typo.py: line 5: AttributeError: "]),  # not that of what it calls
        (["--config=syntax.py"], ["syntax.py: line 2: SyntaxError: "]),
        (["--config=bytes.py"], ["bytes.py: "]),
        (["--config=leaves.py"], ["leaves.py: line 2: SystemExit"]),
        (["--config=empty.py"], ["empty.py: expected a function get_config(preset), got none"]),
    ],
    ids=lambda item: " ".join(item).strip(),
)
def test_a_wrong_flag_is_one_line(run, args, words):
    code, out, err = run(*args, config=args[0].startswith("--config"))
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1, err
    assert all(word in err for word in words), err


def test_cards_by_name_and_by_file_and_their_fields(run):
    def fields(*args):
        """Return those that the card has."""
        got = json.loads(run(*args, config=True)[1])
        assert got == json.loads(json.dumps(RunConfig.from_dict(got).to_dict()))
        return [got["lr"], got["epochs"], got["stream"], got["model"]["hidden"]]

    for name in ("known", "own.py", "known:quick"):
        assert fields(f"--config={name}") == [0.1, 3, False, 8]
    changed = (
        "--config.lr",
        "1e-3",
        "--config.stream",
        "--config.epochs=4",
        "--config.model.hidden=16",
    )
    assert fields(*changed, "--config=known") == [1e-3, 4, True, 16]
    _, out, _ = run("--config=known", "--config.model.hidden=9", "--config.model=gcn", config=True)
    model = json.loads(out)["model"]
    assert model["name"] == "gcn" and model["hidden"] == 9


def test_fields_of_a_model_that_is_not_swept_are_refused(run, tmp_path):
    """They would change no training; those of a model that is swept change its trainings."""
    card = (tmp_path / "own.py").read_text()
    (tmp_path / "swept.py").write_text(
        card.replace('"stream": False', '"sweep": {"model": "schnet, gcn"}')
    )
    for flag, name in (("model.hidden=9", "egnn"), ("model=vit", "vit")):
        code, _, err = run("--config=swept.py", f"--config.{flag}", config=True)
        field = flag.partition("=")[0]
        assert code == 2
        assert err == f"error: --config.{field}: expected {name} in sweep.model, got schnet, gcn\n"
    swept = ("--config=swept.py", "--config.sweep.model=schnet,egnn")
    assert run(*swept, "--config.model.hidden=9", config=True)[0] == 0
    assert run("--config=swept.py", config=True)[0] == 0


def test_a_card_of_ones_own_may_leave_out_what_has_a_default(run, tmp_path):
    def value(fields):
        (tmp_path / "few.py").write_text(
            "import ml_collections\n"
            f"def get_config():\n    return ml_collections.ConfigDict({fields})\n"
        )
        return run("--config=few.py", config=True)

    usual = RunConfig.from_dict({"model": "egnn", "epochs": 5}).to_dict()
    _, out, _ = value({"model": {"name": "egnn"}, "epochs": 5})
    assert json.loads(out) == json.loads(json.dumps(usual))
    # What a transfer leaves open stays so.
    for fields in ({}, {"model": {"name": ""}, "lr": 0.0, "min_lr": 0.01}):
        got = json.loads(value({**fields, "transfer": {"source": "a"}})[1])
        assert (got["model"], got["lr"]) == ({"name": ""}, 0.0)
        assert got["transfer"]["head"] == "new" and got["sweep"]["seed"] == ""
    assert (
        value({"epochs": 5})[2]
        == "error: model: expected its name and hyper-parameters, got none\n"
    )


def test_a_required_flag_is_one_line(run):
    assert run(needed=True) == (2, "", "error: expected --needed: What has no default.\n")


def test_an_input_error_is_one_line_even_if_its_message_is_not(run):
    error = InputError("table.npz: cut\n  short")
    assert run(main=raising(error)) == (2, "", "error: table.npz: cut short\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.npz"), "a.npz: No space left on"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a"), "a: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), "a: File name too long"),
        (ValueError("write: Read-only file system [errno 30]"), "Read-only file system"),
        (
            ModuleNotFoundError("No module named 'tblite'", name="tblite.interface"),
            "qc-jax[engines]",
        ),
        (MemoryError("Unable to allocate 37 GiB"), "GiB are free here: Unable to allocate 37 GiB"),
    ],
)
def test_what_the_machine_refuses_is_one_line(run, error, words):
    code, _, err = run(main=raising(error))
    assert code == 2 and words in err and err.count("\n") == 1, err


def test_a_device_that_is_not_there(run_python):
    """JAX itself says so by an AssertionError without a word."""
    shown = "import jax; cli.run(lambda _: print(jax.devices()), cli.Flags())"
    code = f"from qc_jax.runs import cli; {shown}"
    done = run_python("-c", code, JAX_PLATFORMS="cuda")
    assert done.returncode == 2 and done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: JAX_PLATFORMS=cuda: JAX finds no such device here; unset it")


@pytest.mark.parametrize("bug", [ValueError("a bug"), KeyError("a bug"), OSError("a bug")])
def test_a_bug_shows_its_traceback(run, bug):
    code, _, err = run(main=raising(bug))
    assert code == 1 and err.startswith("a bug in qc_jax, please report it")
    assert "Traceback" in err and "a bug" in err


def test_help_lists_the_flags(run):
    code, out, _ = run("--help", needed=True)
    assert code == 0 and "About it." in out and "--count" in out and "(default: 1)" in out


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_asks_to_stop(run, number, code, name):
    before = signal.getsignal(number)

    def main(_):
        with cli.stop_on_signals() as stop:
            assert not stop()
            os.kill(os.getpid(), number)
            assert stop()
            raise loop.Interrupted

    words = f"stopped by {name}, and all is saved: the same command goes on\n"
    assert run(main=main)[:2] == (code, words)
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_does_not_wait(run):
    def main(_):
        with cli.stop_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("it went on")

    code, _, err = run(main=main)
    assert code == 130 and err.endswith("stopped by Ctrl-C\n")


@pytest.mark.slow
def test_a_full_disk_and_output_in_ascii(run_python):
    """As a shell redirects."""
    code = "from qc_jax.runs import cli; cli.run(lambda _: print('Å'), cli.Flags())"
    done = run_python("-c", code, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "?\n", "")
    full = f"import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); {code}"
    done = run_python("-c", full)
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


def test_libraries_are_hushed_and_we_are_not(run_python):
    code = """
        import logging
        from absl import logging as absl_logging
        from qc_jax.runs import cli
        cli.prepare_streams()
        absl_logging.error("theirs")
        logging.getLogger("qc_jax.train.checkpoint").warning("ours")
    """
    done = run_python("-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
    assert "ours" in done.stderr and "theirs" not in done.stderr
