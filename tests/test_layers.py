"""Imports go down only, the core needs few packages, and pmap stands in one file."""

import ast
import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

# What `qc_jax.data`, `canvas`, `models` and `train` may need on a machine that only trains.
CORE = ("data", "canvas", "models", "train")
CORE_REQUIREMENTS = (
    "absl-py",
    "filelock",
    "flax",
    "jax",
    "jaxtyping",
    "numpy",
    "optax",
    "orbax-checkpoint",
    "psutil",
)


def lint(folder: pathlib.Path) -> subprocess.CompletedProcess:
    """Run import-linter with the contracts of this repository on the packages in `folder`."""
    start = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", start, str(ROOT / ".importlinter"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_imports_go_down_only():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_that_goes_up_or_round_is_caught(tmp_path):
    rooms = (
        "ase testing studies report dynamics evaluate train engines models canvas data chem errors"
    )
    sources = {f"qc_jax/{room}/__init__.py": "" for room in rooms.split()}
    sources |= {f"{name}/__init__.py": "" for name in ("qc_jax", "experiments", "data_builders")}
    for path, text in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert lint(tmp_path).returncode == 0
    (tmp_path / "qc_jax/models/__init__.py").write_text("def f():\n    import qc_jax.train\n")
    (tmp_path / "qc_jax/data/__init__.py").write_text("import experiments\n")
    (tmp_path / "qc_jax/new").mkdir()
    (tmp_path / "qc_jax/new/__init__.py").write_text("")
    done = lint(tmp_path)
    assert done.returncode == 1
    for words in ("qc_jax.models -> qc_jax.train", "qc_jax.data -> experiments", "qc_jax.new"):
        assert words in done.stdout, done.stdout


def names_pmap(source: str) -> bool:
    """Return whether the code, not its comments or docstrings, names pmap."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id="pmap") | ast.Attribute(attr="pmap") | ast.alias(name="pmap"):
                return True
            case ast.Constant("pmap"):  # getattr(jax, "pmap")
                return True
    return False


@pytest.mark.parametrize(
    "source", ["jax.pmap(f)", "from jax import pmap as p", "pmap(f)", "getattr(jax, 'pmap')"]
)
def test_pmap_is_seen_however_it_is_named(source):
    assert names_pmap(source)
    assert not names_pmap('"""Not pmap."""  # pmap\njax.vmap(f)')


def test_pmap_stands_in_one_file():
    named = [
        path.relative_to(ROOT).as_posix()
        for folder in ("qc_jax", "experiments", "data_builders")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if names_pmap(path.read_text(encoding="utf-8"))
    ]
    assert named == ["qc_jax/train/parallel.py"]


def normal(name: str) -> str:
    """Return a distribution's name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: tuple[str, ...]) -> set[str]:
    """Return the installed distributions that these need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = normal(waiting.pop())
        if name in found:
            continue
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # another platform's, or an extra's
        found.add(name)
        for line in lines:
            requirement, _, marker = line.partition(";")
            if "extra ==" not in marker:
                waiting.append(re.match(r"[\w.-]+", requirement)[0])
    return found


IMPORT_ALL = """
import importlib, pkgutil, sys

for name in {blocked!r}:
    sys.modules[name] = None  # an import of it raises ModuleNotFoundError
for package in {packages!r}:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_the_core_imports_with_few_packages_alone(run_python, tmp_path):
    core = closure(CORE_REQUIREMENTS) | {"qc-jax"}
    assert {"jax", "jaxlib", "flax", "numpy"} <= core
    owners = importlib.metadata.packages_distributions()
    blocked = sorted(
        name
        for name, dists in owners.items()
        if name.isidentifier() and not name.startswith("_") and not core & set(map(normal, dists))
    )
    assert {"ml_collections", "matplotlib", "tblite", "tensorflow_datasets", "ase"} <= set(blocked)
    packages = [f"qc_jax.{name}" for name in CORE]
    done = run_python("-c", IMPORT_ALL.format(blocked=blocked, packages=packages), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    modules = done.stdout.split()
    assert {"qc_jax.data.table", "qc_jax.train.parallel"} <= set(modules)

    # The block is real: what does need one of them fails under it.
    code = IMPORT_ALL.format(blocked=blocked, packages=["qc_jax.data"])
    done = run_python("-c", code + "\nimport tensorflow_datasets", cwd=tmp_path)
    assert done.returncode == 1 and "tensorflow_datasets" in done.stderr
