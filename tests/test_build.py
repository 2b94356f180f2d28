"""BUILD parses, every source is in a target, and every dependency exists."""

import pathlib
import re
import tomllib

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


def requirements() -> set[str]:
    """Return what requirements.txt and the extras name, as the hub writes it."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in project["optional-dependencies"].values():
        lines += extra
    lines += project.get("dependencies", [])
    names = (re.match(r"[\w.-]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "_", name[0]).lower() for name in names if name}


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
    found, known = targets(), requirements()
    for name, target in found.items():
        for label in target.get("deps", ()):
            if label.startswith("@pypi//"):
                assert label.removeprefix("@pypi//") in known, f"{name}: {label} is not required"
            else:
                assert label.removeprefix(":") in found, f"{name}: {label} names no target"


def test_every_folder_of_tests_is_a_package():
    """Otherwise two test files of one name in two folders could not be collected."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
