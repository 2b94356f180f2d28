"""BUILD parses, every source is in a target, and every dependency exists."""

import pathlib
import re
import tomllib

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parents[1]


def targets() -> dict[str, dict]:
    """Return the targets of BUILD by name: Starlark's subset in it runs as Python."""
    found: dict[str, dict] = {}

    def glob(include, exclude=()):
        def matches(patterns):
            paths = (path for pattern in patterns for path in ROOT.glob(pattern))
            return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file()}

        return sorted(matches(include) - matches(exclude))

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


def test_every_source_is_in_a_target():
    held = {path for target in targets().values() for path in target.get("srcs", ())}
    folders = ("qc_jax", "experiments", "data_builders", "tests")
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    }
    assert there - held == set() and held - there == set()


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
