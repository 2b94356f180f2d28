"""BUILD parses, every file is in a target, and every dependency exists."""

import functools
import pathlib
import re
import tomllib

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parents[1]


@functools.cache
def targets() -> dict[str, dict]:
    """Return the targets of BUILD by name: Starlark's subset in it runs as Python."""
    found: dict[str, dict] = {}

    def glob(include, exclude=(), allow_empty=False):
        def matches(pattern):
            # Before Python 3.13 a last ** is of folders alone.
            paths = ROOT.glob(f"{pattern}/*" if pattern.endswith("**") else pattern)
            return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file()}

        found = set[str]().union(*map(matches, include)).difference(*map(matches, exclude))
        assert found or allow_empty, f"glob({include}) is empty, which Bazel refuses"
        return sorted(found)

    def rule(name, **attributes):
        assert name not in found, f"two targets are called {name}"
        found[name] = attributes

    names = ("py_binary", "py_library", "py_test")
    scope = dict.fromkeys(names, rule) | {"glob": glob}
    scope |= {"load": lambda *_: None, "package": lambda **_: None}
    exec((ROOT / "BUILD").read_text(encoding="utf-8"), scope)
    return found


def hub_name(name: str) -> str:
    """Return a package's name as the hub of MODULE.bazel writes it."""
    return re.sub(r"[-_.]+", "_", name).lower()


def requirements() -> set[str]:
    """Return what requirements.txt and the extras name, of this platform."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in project["optional-dependencies"].values():
        lines += extra
    found = [Requirement(line) for text in lines if (line := text.partition("#")[0].strip())]
    linux = {"platform_machine": "x86_64"}
    return {hub_name(each.name) for each in found if not each.marker or each.marker.evaluate(linux)}


def locked() -> set[str]:
    """Return what the lock of MODULE.bazel's hub holds."""
    lines = (ROOT / ".ci/requirements_lock.txt").read_text(encoding="utf-8").splitlines()
    return {hub_name(line.partition("==")[0]) for line in lines if "==" in line}


def test_every_file_is_in_a_target():
    attributes = [target.get(key, ()) for target in targets().values() for key in ("srcs", "data")]
    held = {path for paths in attributes for path in paths if "__pycache__" not in path}
    folders = ("qc_jax", "experiments", "data_builders", "tests")
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there - held == set()
    assert [path for path in held if not (ROOT / path).is_file()] == []


def test_scripts_start_as_modules():
    """Run as files, those that import relatively would not start."""
    scripts = {name: each for name, each in targets().items() if name.startswith("experiments/")}
    assert {"experiments/generate", "experiments/speed/__main__"} <= set(scripts)
    for name, target in scripts.items():
        assert "main" not in target and target["main_module"] == name.replace("/", ".")


def test_a_model_that_comes_along_is_there_for_every_script():
    found = targets()

    def data(name):
        below = [data(label[1:]) for label in found[name].get("deps", ()) if label[0] == ":"]
        return set(found[name].get("data", ())).union(*below)

    for name in ("runs", "experiments/predict"):
        assert "qc_jax/trained/index.json" in data(name)


def test_every_dependency_exists():
    found, known = targets(), locked()
    for name, target in found.items():
        for label in target.get("deps", ()):
            if label.startswith("@pypi//"):
                assert label.removeprefix("@pypi//") in known, f"{name}: {label} is not in the lock"
            else:
                assert label.removeprefix(":") in found, f"{name}: {label} names no target"


def test_the_lock_holds_every_requirement():
    assert requirements() - locked() == {"qc_jax"}


def test_every_folder_of_tests_is_a_package():
    """Otherwise two test files of one name in two folders could not be collected."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
