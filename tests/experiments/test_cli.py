"""How a script ends: 0, or 2 with one line for bad input, or a traceback for a bug."""

import textwrap

import pytest

SCRIPT = """
    import os
    from absl import flags
    from ml_collections import config_flags
    from experiments import cli
    from qc_jax.errors import InputError

    flags.DEFINE_integer("count", 1, "How many.", lower_bound=1)
    flags.DEFINE_enum("engine", "tblite", ["tblite", "published"], "Which one.")
    flags.DEFINE_string("needed", None, "Has no default.", required={required})
    config_flags.DEFINE_config_file("config", None, "A config.", lock_config=True)

    def main(argv):
        {body}

    if __name__ == "__main__":
        cli.run(main)
"""
CONFIG = """
    import ml_collections
    from qc_jax.errors import choose

    def get_config(preset=""):
        choose("preset", preset, ("", "quick"))
        return ml_collections.ConfigDict({"rate": 0.1, "steps": 3})
"""


@pytest.fixture
def script(tmp_path, run_python):
    def run(*args, body="print('count', cli.flags.FLAGS.count, argv)", required=False):
        text = textwrap.dedent(SCRIPT.format(body=body, required=required))
        (tmp_path / "script.py").write_text(text)
        (tmp_path / "config.py").write_text(textwrap.dedent(CONFIG))
        return run_python("script.py", *args, cwd=tmp_path)

    return run


def test_a_good_run(script):
    done = script("--count=3", "Ag", "Al")
    assert (done.returncode, done.stdout, done.stderr) == (0, "count 3 ['Ag', 'Al']\n", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--conut=3"], ["conut", "count"]),
        (["--count=three"], ["count", "three"]),
        (["--count=0"], ["count", "0"]),
        (["--engine=psi4"], ["psi4", "tblite"]),
        (["--count"], ["count"]),
        (["--config=config.py", "--config.rat=0.2"], ["'rat'", "choose one of: rate, steps\n"]),
        (["--config", "config.py", "--config.rat=0.2"], ["'rat'", "choose one of: rate, steps\n"]),
        (["--config=config.py:slow"], ["error: unknown preset 'slow'; choose one of: '', quick\n"]),
        (["--config=config.py", "--confg.rate=0.2"], ["confg.rate"]),
        (["--config=config.py", "--config.steps=many"], ["steps", "many"]),
        (["--config=none.py"], ["none.py"]),
    ],
    ids=lambda item: " ".join(item).strip(),
)
def test_a_wrong_flag_is_one_line(script, args, words):
    done = script(*args)
    check_one_line(done)
    assert all(word in done.stderr for word in words), done.stderr


def test_a_required_flag_is_one_line(script):
    done = script(required=True)
    check_one_line(done)
    assert "needed" in done.stderr


def test_an_input_error_is_one_line_even_if_its_message_is_not(script):
    done = script(body="raise InputError('table.npz: cut\\n  short')")
    check_one_line(done)
    assert done.stderr == "error: table.npz: cut short\n"


@pytest.mark.parametrize("bug", ["ValueError('a bug')", "KeyError('a bug')", "OSError('a bug')"])
def test_a_bug_shows_its_traceback(script, bug):
    done = script(body=f"raise {bug}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "a bug" in done.stderr


def test_help_lists_the_flags(script):
    done = script("--help")
    assert "--count" in done.stdout + done.stderr and "How many." in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def check_one_line(done):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
