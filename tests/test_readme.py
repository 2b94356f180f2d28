"""The README's commands exist as it writes them, and .ci/run runs its test command."""

import ast
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short_and_its_first_command_comes_early(readme):
    lines = readme.splitlines()
    assert len(lines) < 150
    assert any(line.startswith("```bash") for line in lines[:20])


def test_its_pictures_and_links_are_there(readme):
    local = [link for link in re.findall(r"\]\(([^)#]+)\)", readme) if "://" not in link]
    assert local, "the README shows a picture of the canvas"
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_its_python_runs_in_another_project(readme, run_python, tmp_path, tfds_data_dir):
    """In an empty directory, with the output that stands below it."""
    (code,) = blocks(readme, "python")
    shown = readme.partition(code)[2].partition("```text\n")[2].partition("```")[0]
    done = run_python("-c", code, cwd=tmp_path, TFDS_DATA_DIR=tfds_data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


def scripts(text: str) -> list[tuple[str, list[str]]]:
    """Every script, as a command or a module, with its flags' names, line continuations joined."""
    found = []
    for match in re.finditer(
        r"(?:python3? -m experiments\.|qc-jax )([a-z]\w*)([^`\n&|]*)", text.replace("\\\n", " ")
    ):
        words = match[2].partition("#")[0].replace("[", " ").split()
        flags = [word.rstrip("].,)") for word in words if word.startswith("--")]
        found.append((match[1], [flag[2:].partition("=")[0] for flag in flags]))
    return found


KINDS = ("string", "integer", "number", "boolean", "enum", "strings", "card")  # of cli.Flags


def flags_of(source):
    """Those that a script defines, and those of the modules that define some for it."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or node.module == "qc_jax.runs"):
            folder = ROOT / ("experiments" if node.level else "qc_jax/runs")
            names = {alias.name for alias in node.names} & {"grids", "distributed"}
            names |= {node.module} & {"engine_flags"}
            others = (folder / f"{name}.py" for name in names)
            found |= {flag for other in others if other.exists() for flag in flags_of(other)}
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and (node.func.attr.startswith("DEFINE_") or node.func.attr in KINDS)
        ):
            found.add("config" if node.func.attr == "card" else getattr(node.args[0], "value", ""))
    if source.stem == "generate":  # whose engines have options of their own
        for module in (ROOT / "qc_jax/engines").rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and node.name == "Options":
                    found |= {
                        each.target.id for each in node.body if isinstance(each, ast.AnnAssign)
                    }
    return found


def test_its_scripts_have_the_flags_it_names(readme):
    commands = scripts(readme)
    assert {"train", "predict", "generate", "speed"} <= {name for name, _ in commands}
    for name, flags in commands:
        source = ROOT / "experiments" / f"{name}.py"
        if not source.exists():
            source = source.with_suffix("") / "__main__.py"
        defined = flags_of(source)
        for flag in flags:
            assert flag.partition(".")[0] in defined, f"experiments.{name} has no --{flag}"


def test_scripts_are_found_in_text():
    text = "`python -m experiments.train \\\n  --config=a.py --workdir=x` and\n" + (
        "qc-jax predict --workdir=x Ag Al  # --not\n"
    )
    assert scripts(text) == [("train", ["config", "workdir"]), ("predict", ["workdir"])]


# Stands for every program that .ci/run starts: says what was asked of it, and fails where told to.
STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $*  [$PYTEST_ADDOPTS]" >> "$LOG"
case "$(basename "$0") $*" in *"$FAIL"*) exit 3 ;; esac
"""
TEST_SECTION = """\
# House
```bash
python3 -c first
```
## Test
Words.
```text
not this
```
```bash
python3 -c prepare &&
  python -m pytest
```
```bash
python3 -c second
```
"""


@pytest.fixture
def ci(tmp_path):
    """Runs .ci/run in a checkout of nothing but a README, with stand-ins for what it starts."""

    def run(readme: str, fail: str = "nothing") -> tuple[int, list[str]]:
        house = tmp_path / "house"
        (house / ".ci").mkdir(parents=True)
        (house / ".venv" / "bin").mkdir(parents=True)
        (house / ".venv" / "bin" / "activate").write_text("")
        (house / "README.md").write_text(readme)
        shutil.copy(ROOT / ".ci" / "run", house / ".ci" / "run")
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("python3", "python", "pip", "ruff", "mypy", "timeout"):
            (programs / name).write_text(STAND_IN)
            (programs / name).chmod(0o755)
        log = tmp_path / "log"
        log.write_text("")
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "LOG": str(log), "FAIL": fail}
        done = subprocess.run([house / ".ci" / "run"], env=environment, capture_output=True)
        return done.returncode, log.read_text().splitlines()

    return run


def test_ci_runs_lint_types_the_readmes_command_and_some_slow_tests(ci):
    code, log = ci(TEST_SECTION)
    assert code == 0
    slow = re.findall(r"tests/\S+", log[7])
    assert log == [
        "python3 -m venv .venv  []",
        "pip install -q -e .[test]  []",
        "ruff check .  []",
        "ruff format --check .  []",
        "mypy   []",
        "python3 -c prepare  []",
        "python -m pytest  []",
        f"timeout --kill-after=30 240 python -m pytest -m slow {' '.join(slow)} --tb=short  []",
        "pip install -q -e .[tpu]  []",
        "timeout --kill-after=30 240 python -m pytest -m slow tests/accelerators/test_compilers.py "
        "-k egnn or gcn or vision_only or images --tb=short  []",
    ]
    assert slow and [path for path in slow if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "step", ["venv", "pip", "ruff check", "ruff format", "mypy", "prepare", "pytest"]
)
def test_ci_fails_where_a_step_does(ci, step):
    code, log = ci(TEST_SECTION, fail=step)
    assert code != 0
    assert step in log[-1]


def test_ci_fails_without_a_test_command(ci):
    assert ci(TEST_SECTION.replace("## Test", "## Other")) == (1, [])


def test_ci_finds_this_readmes_command(ci, readme):
    code, log = ci(readme)
    assert code == 0
    assert any(line.startswith("python -m pytest") for line in log)
