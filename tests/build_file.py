"""The root BUILD file: read it, check it against the tree, or write it anew.

`python -m tests.build_file` prints what is wrong; with `--write` it writes BUILD from the tree.
Starlark's subset in BUILD parses as Python, so no Bazel is needed.
"""

import argparse
import ast
import dataclasses
import pathlib
import re
import sys
import tomllib
from collections.abc import Iterator

ROOTS = ("qc_jax", "experiments", "data_builders", "tests")
RULES = ("py_binary", "py_library", "py_test")
LAYERS = ("errors", "chem", "data", "canvas", "engines", "models", "train", "evaluate", "report")
# Import names that differ from the name on PyPI.
DISTRIBUTIONS = {
    "absl": "absl_py",
    "google": "protobuf",
    "PIL": "pillow",
    "mpl_toolkits": "matplotlib",
    "orbax": "orbax_checkpoint",
    "sklearn": "scikit_learn",
    "tensorflow": "tensorflow_cpu",
}


@dataclasses.dataclass
class Target:
    """One rule of a BUILD file; only the attributes that the check reads."""

    rule: str
    name: str
    srcs: list[str] = dataclasses.field(default_factory=list)
    deps: list[str] = dataclasses.field(default_factory=list)
    data: list[str] = dataclasses.field(default_factory=list)
    args: list[str] = dataclasses.field(default_factory=list)
    tags: list[str] = dataclasses.field(default_factory=list)
    main_module: str = ""
    testonly: bool = False


def parse(text: str) -> tuple[list[Target], list[str]]:
    """The targets of a BUILD file, and what in it is not understood."""
    targets: list[Target] = []
    problems: list[str] = []
    loaded: set[str] = set()
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        return [], [f"BUILD line {error.lineno}: {error.msg}"]
    for statement in body:
        where = f"BUILD line {statement.lineno}"
        match statement:
            case ast.Expr(ast.Constant(str())):
                continue
            case ast.Expr(ast.Call(func=ast.Name(function)) as call):
                pass
            case _:
                problems.append(f"{where}: expected a call, got {ast.unparse(statement)[:40]!r}")
                continue
        try:
            positional = [ast.literal_eval(value) for value in call.args]
            named = {item.arg: ast.literal_eval(item.value) for item in call.keywords}
        except ValueError:
            problems.append(f"{where}: {function} has a value that is no literal (a glob?)")
            continue
        if function == "load":
            if positional[0] == "@rules_python//python:defs.bzl":
                loaded |= set(positional[1:])
        elif function == "package":
            continue
        elif function not in RULES:
            problems.append(f"{where}: unknown rule {function}")
        elif function not in loaded:
            problems.append(f"{where}: {function} is not loaded from rules_python")
        else:
            try:
                targets.append(Target(rule=function, **named))
            except TypeError as error:
                problems.append(f"{where}: {error}")
    unused = loaded - {target.rule for target in targets}
    problems += [f"{name} is loaded and not used" for name in sorted(unused)]
    names = [target.name for target in targets]
    problems += [f"two targets are called {name}" for name in sorted(repeated(names))]
    return targets, problems


def repeated(items: list[str]) -> set[str]:
    """The items that stand in the list more than once."""
    return {item for item in items if items.count(item) > 1}


def files_of(root: pathlib.Path) -> Iterator[str]:
    """Every file of the four source folders, as a path from the root."""
    for folder in ROOTS:
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root)
            hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
            if path.is_file() and not hidden and path.suffix not in (".pyc", ".partial"):
                yield inside.as_posix()


def module_of(path: str) -> str:
    """'qc_jax/data/table.py' → 'qc_jax.data.table'; a package is its `__init__.py`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports_of(source: str, path: str) -> Iterator[tuple[str, str]]:
    """What a source imports: ('a.b', 'c') for `from a.b import c`, ('a.b', '') for `import a.b`.

    Lazy imports, those under TYPE_CHECKING, and `import_module` of a literal count like any other.
    `importorskip` does not: the test runs without.
    """
    package = module_of(path).split(".")
    if not path.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from ((alias.name, "") for alias in node.names)
            case ast.ImportFrom():
                prefix = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*prefix, *([node.module] if node.module else [])])
                yield from ((base, alias.name) for alias in node.names)
            case ast.Call(
                func=ast.Attribute(attr="import_module"), args=[ast.Constant(str(name)), *_]
            ):
                yield name, ""


def started_by(source: str) -> Iterator[str]:
    """Modules and files of experiments that a source names in a string, to start or to read."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"experiments(\.\w+)+", node.value):
                yield node.value.replace(".", "/") + ".py"
            elif re.fullmatch(r"experiments/[\w/]+\.py", node.value):
                yield node.value


def needs(root: pathlib.Path, target: Target, owner: dict[str, str]) -> tuple[set, set, list]:
    """The labels a target imports, the labels it starts, and the imports that lead nowhere.

    A package's `__init__.py` counts where the package itself is named, not on the way to a module
    inside it.
    """
    imported: set[str] = set()
    started: set[str] = set()
    lost: list[str] = []
    for path in filter(lambda path: (root / path).is_file(), target.srcs):
        source = (root / path).read_text(encoding="utf-8")
        for base, name in imports_of(source, path):
            top = base.split(".")[0]
            if top in sys.stdlib_module_names:
                continue
            if top not in ROOTS:
                imported.add(f"@pypi//{DISTRIBUTIONS.get(top, top).lower()}")
                continue
            folder = base.replace(".", "/")
            choices = [folder + ".py", folder + "/__init__.py"]
            if name:
                choices = [f"{folder}/{name}.py", f"{folder}/{name}/__init__.py", *choices]
            found = next((choice for choice in choices if (root / choice).is_file()), None)
            if found is None:
                lost.append(f"{path} imports {base}, which is not there")
            elif found in owner:
                imported.add(f":{owner[found]}")
        started |= {f":{owner[file]}" for file in started_by(source) if file in owner}
    if target.rule == "py_test":  # pytest reads conftest.py and every __init__.py on the way
        imported |= {"@pypi//pytest"}
        imported |= {f":{owner[file]}" for file in ("tests/conftest.py",) if file in owner}
    own = f":{target.name}"
    return imported - {own}, started - imported - {own}, lost


def requirements(root: pathlib.Path) -> set[str]:
    """Normalised names of everything that the package or an extra of it requires."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in project.get("optional-dependencies", {}).values():
        lines += extra
    names = (re.match(r"[\w.-]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "_", name[0]).lower() for name in names if name}


def check(root: pathlib.Path) -> list[str]:
    """What is wrong with `root`/BUILD; empty when it tells the truth about the tree."""
    targets, problems = parse((root / "BUILD").read_text(encoding="utf-8"))
    by_name = {target.name: target for target in targets}
    owner = {path: target.name for target in targets for path in target.srcs}
    required = requirements(root)

    files = list(files_of(root))
    sources = [path for target in targets for path in target.srcs]
    data = [item for target in targets for item in target.data if not item.startswith(":")]
    problems += [f"{path} is in no target" for path in files if path not in {*sources, *data}]
    problems += [f"{path} is in two targets" for path in sorted(repeated(sources))]
    for target in targets:
        for path in [*target.srcs, *(item for item in target.data if not item.startswith(":"))]:
            if not (root / path).is_file():
                problems.append(f"{target.name} names {path}, which is not there")
        for label in [*target.deps, *(item for item in target.data if item.startswith(":"))]:
            problems += _wrong_label(target, label, by_name, required)
        for field in ("srcs", "deps", "data"):
            if getattr(target, field) != sorted(set(getattr(target, field))):
                problems.append(f"{target.name}: {field} is not sorted, or repeats itself")
        problems += _wrong_shape(target)
        imported, started, lost = needs(root, target, owner)
        problems += lost
        labels = {item for item in target.data if item.startswith(":")}
        for what, declared, true in (
            ("deps", set(target.deps), imported),
            ("data", labels, started),
        ):
            problems += [f"{target.name}: {what} lacks {x}" for x in sorted(true - declared)]
            problems += [f"{target.name}: {what} has unused {x}" for x in sorted(declared - true)]
    return problems + _cycles(by_name)


def _wrong_label(target: Target, label: str, by_name: dict, required: set[str]) -> list[str]:
    if label.startswith("@pypi//"):
        # A script that made a fixture may need a program that this package does not.
        made_by_hand = target.testonly and "manual" in target.tags
        if label.removeprefix("@pypi//") not in required and not made_by_hand:
            return [f"{target.name}: {label} is in no requirement of this package"]
    elif not label.startswith(":") or label[1:] not in by_name:
        return [f"{target.name}: {label} names no target"]
    elif by_name[label[1:]].testonly and not (target.testonly or target.rule == "py_test"):
        return [f"{target.name}: {label} is for tests only"]
    return []


def _wrong_shape(target: Target) -> list[str]:
    tests = [path for path in target.srcs if is_test(path)]
    if target.rule == "py_test":
        runs = target.args and all(
            any(pathlib.PurePosixPath(path).is_relative_to(arg) for arg in target.args)
            for path in target.srcs
        )
        if tests != target.srcs or target.main_module != "pytest" or not runs:
            return [f"{target.name}: a py_test is test files that `pytest ARGS` runs, all of them"]
    elif tests:
        return [f"{target.name}: {tests[0]} is a test outside of a py_test"]
    elif target.rule == "py_binary" and f"{target.name}.py" not in target.srcs:
        return [f"{target.name}: no source {target.name}.py to run"]
    return []


def _cycles(by_name: dict[str, Target]) -> list[str]:
    below: dict[str, set[str]] = {
        name: {item[1:] for item in [*target.deps, *target.data] if item[1:] in by_name}
        for name, target in by_name.items()
    }
    while leaves := [name for name, under in below.items() if not under]:
        below = {name: under - set(leaves) for name, under in below.items() if name not in leaves}
    return [f"a cycle of targets, among: {', '.join(sorted(below))}"] if below else []


def is_test(path: str) -> bool:
    """Whether pytest collects this file."""
    name = path.rsplit("/", 1)[-1]
    return path.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _home(root: pathlib.Path, path: str) -> tuple[str, str]:
    """Rule and name of the target that a file belongs to, by our own convention."""
    top, *folders, name = path.split("/")
    if is_test(path):
        return "py_test", f"{folders[0] if folders else 'repository'}_test"
    script = path.endswith(".py") and (
        path.startswith("tests/fixtures/make_")
        or 'if __name__ == "__main__":' in (root / path).read_text(encoding="utf-8")
    )
    if script and top in ("experiments", "tests"):
        return "py_binary", path.removesuffix(".py")
    if top == "tests" or not folders:
        stem = name.removesuffix(".py")
        return "py_library", stem if top == "qc_jax" and stem != "__init__" else top
    return "py_library", folders[0]


def plan(root: pathlib.Path) -> list[Target]:
    """The targets that the tree asks for, libraries first, from the bottom layer up."""
    targets: dict[str, Target] = {}
    for path in files_of(root):
        rule, name = _home(root, path)
        target = targets.setdefault(name, Target(rule, name))
        (target.srcs if path.endswith(".py") else target.data).append(path)
        target.testonly = rule != "py_test" and path.startswith("tests/")
        if rule == "py_test":
            target.main_module = "pytest"
            folder = path.rsplit("/", 1)[0]
            whole = folder != "tests" and folder.startswith("tests/")
            first = "/".join(path.split("/")[:2])
            target.args = sorted({*target.args, first if whole else path})
    owner = {path: target.name for target in targets.values() for path in target.srcs}
    known = {f"@pypi//{name}" for name in requirements(root)}
    for target in targets.values():
        imported, started, lost = needs(root, target, owner)
        for problem in lost:
            print(f"warning: {problem}", file=sys.stderr)
        target.deps = sorted(imported)
        target.data = sorted({*target.data, *started})
        foreign = {item for item in imported if item.startswith("@pypi//")} - known
        if target.name == "repository_test" or (foreign and target.rule == "py_binary"):
            target.tags = ["manual"]
    return sorted(targets.values(), key=_order)


def _order(target: Target) -> tuple:
    first = (target.srcs or target.data or [""])[0]
    section = "py_test" if target.rule == "py_test" else first.split("/")[0]
    sections = (*ROOTS[:3], "tests", "py_test")
    layer = LAYERS.index(target.name) if target.name in LAYERS else len(LAYERS)
    return (
        sections.index(section),
        target.rule != "py_library",
        target.name not in ROOTS,
        layer if section == "qc_jax" else 0,
        target.name,
    )


HEADER = '''\
"""QuantumCanvas in JAX. `@pypi` is the hub that rules_python's `pip.parse` makes of the packages
in requirements.txt and of the [tf] and [test] extras; `main_module` wants rules_python 1.3.

`python -m tests.build_file --write` writes this file anew; tests/test_build.py checks it.
"""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])
'''
SECTIONS = {
    "qc_jax": "The package: each layer imports only what stands above it here.",
    "experiments": "Scripts: `bazel run //:experiments/train`.",
    "data_builders": "TFDS builders.",
    "tests": "What the tests share, and the scripts that made their fixtures.",
    "py_test": "Tests. `repository_test` reads the whole checkout, which a sandbox does not hold.",
}
ATTRIBUTES = ("testonly", "srcs", "args", "data", "main_module", "tags", "deps")  # as buildifier


def render(targets: list[Target]) -> str:
    """A BUILD file as buildifier would leave it."""
    lines = [HEADER.rstrip()]
    section = None
    for target in targets:
        first = (target.srcs or target.data)[0]
        now = "py_test" if target.rule == "py_test" else first.split("/")[0]
        if now != section:
            lines += ["", f"# {SECTIONS[now]}"]
            section = now
        lines += ["", f"{target.rule}(", f'    name = "{target.name}",']
        for attribute in ATTRIBUTES:
            value = getattr(target, attribute)
            if value is True or (value and isinstance(value, str)):
                lines.append(f"    {attribute} = {value if value is True else _quote(value)},")
            elif value and len(value) == 1:
                lines.append(f"    {attribute} = [{_quote(value[0])}],")
            elif value:
                lines += [f"    {attribute} = [", *(f"        {_quote(item)}," for item in value)]
                lines.append("    ],")
        lines.append(")")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return '"' + text + '"'


def main() -> None:
    """Checks BUILD, after writing it where asked; exit code 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write BUILD from the tree first")
    root = pathlib.Path(__file__).resolve().parents[1]
    if parser.parse_args().write:
        (root / "BUILD").write_text(render(plan(root)), encoding="utf-8")
    problems = check(root)
    print("\n".join(problems) or "BUILD tells the truth about the tree")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
