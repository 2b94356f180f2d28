"""Imports go down only, the core needs few packages, and pmap stands in one file."""

import ast
import graphlib
import importlib.metadata
import pathlib
import re

import pytest

from tests import build_file

ROOT = pathlib.Path(__file__).resolve().parents[1]

# A module may import its own package, and any with a lower rank.
RANKS = {
    "errors": 0,
    "chem": 1,
    "data": 2,
    "engines": 4,
    "canvas": 3,
    "models": 4,
    "train": 5,
    "evaluate": 6,
    "dynamics": 6,
    "report": 7,
    "ase": 7,
    "testing": 8,
}
# What `qc_jax.data`, `canvas`, `models` and `train` may need on a machine that only trains.
CORE = ("data", "canvas", "models", "train")
CORE_REQUIREMENTS = ("absl_py", "flax", "jax", "numpy", "optax", "orbax_checkpoint")


def imports(root: pathlib.Path) -> dict[str, set[str]]:
    """The modules of this repository that each of its modules imports, by dotted name."""
    modules = {
        build_file.module_of(path): path
        for path in build_file.files_of(root)
        if path.endswith(".py")
    }
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        source = (root / path).read_text(encoding="utf-8")
        graph[module] = set()
        for base, name in build_file.imports_of(source, path):
            if f"{base}.{name}" in modules:
                graph[module].add(f"{base}.{name}")
            elif base.split(".")[0] in build_file.ROOTS:
                graph[module].add(base)
    return graph


def wrong_directions(graph: dict[str, set[str]]) -> list[str]:
    """Imports that go up, or sideways."""
    wrong = []
    for module, imported in graph.items():
        top, layer = [*module.split("."), ""][:2]
        if top == "qc_jax" and layer and layer not in RANKS:
            wrong.append(f"{module}: qc_jax.{layer} has no layer")
            continue
        for other in imported:
            other_top, other_layer = [*other.split("."), ""][:2]
            allowed = {
                "qc_jax": ("qc_jax",),
                "data_builders": ("qc_jax", "data_builders"),
                "experiments": ("qc_jax", "data_builders", "experiments"),
                "tests": build_file.ROOTS,
            }[top]
            # qc_jax itself holds the version; its own imports are checked below.
            down = not other_layer or other_layer == layer or _rank(other_layer) < _rank(layer)
            if other_top not in allowed or (top == other_top == "qc_jax" and layer and not down):
                wrong.append(f"{module} imports {other}")
    wrong += [f"qc_jax imports {other}" for other in graph.get("qc_jax", ())]
    return wrong


def _rank(layer: str) -> int:
    return RANKS.get(layer, len(RANKS))


def test_imports_go_down_only():
    graph = imports(ROOT)
    assert graph["qc_jax.data.table"] >= {"qc_jax.errors", "qc_jax.chem.elements"}  # it sees them
    assert wrong_directions(graph) == []


def test_there_are_no_cycles():
    graph = imports(ROOT)
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    ("path", "text", "wrong"),
    [
        ("models/egnn.py", "from qc_jax.train import loop", "egnn imports qc_jax.train"),
        ("models/egnn.py", "from qc_jax import train", "qc_jax.models.egnn imports qc_jax.train"),
        ("models/egnn.py", "def f():\n    import qc_jax.train.loop", "egnn imports qc_jax.train"),
        ("models/egnn.py", "from ..train import loop", "qc_jax.models.egnn imports qc_jax.train"),
        ("canvas/render.py", "from qc_jax.models import egnn", "render imports qc_jax.models"),
        ("canvas/render.py", "from qc_jax.engines import gates", "render imports qc_jax.engines"),
        ("data/table.py", "import qc_jax.models.egnn", "qc_jax.data.table imports qc_jax.models"),
        ("train/loop.py", "from experiments import cli", "qc_jax.train.loop imports experiments"),
        ("train/loop.py", "import data_builders", "qc_jax.train.loop imports data_builders"),
        ("train/loop.py", "from tests import conftest", "qc_jax.train.loop imports tests"),
        ("errors.py", "from qc_jax.chem import units", "qc_jax.errors imports qc_jax.chem"),
        ("errors.py", "import qc_jax.testing", "qc_jax.errors imports qc_jax.testing"),
        ("tools/new.py", "", "qc_jax.tools.new: qc_jax.tools has no layer"),
        ("__init__.py", "from qc_jax import models", "qc_jax imports qc_jax.models"),
    ],
)  # fmt: skip
def test_an_import_that_goes_up_is_caught(tmp_path, path, text, wrong):
    for file in ("__init__.py", "errors.py", "models/__init__.py", "train/__init__.py"):
        (tmp_path / "qc_jax" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "qc_jax" / file).write_text("")
    (tmp_path / "qc_jax" / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "qc_jax" / path).write_text(text)
    found = wrong_directions(imports(tmp_path))
    assert len(found) == 1 and wrong in found[0], found


def test_imports_that_go_down_are_allowed(tmp_path):
    sources = {
        "qc_jax/__init__.py": "",
        "qc_jax/models/__init__.py": "from qc_jax.models import egnn",
        "qc_jax/models/egnn.py": "from qc_jax.data import table\nfrom qc_jax import __version__",
        "qc_jax/data/table.py": "",
        "qc_jax/train/loop.py": "import qc_jax.models\nfrom qc_jax.data.table import open_table",
        "experiments/train.py": "from qc_jax.train import loop\nimport data_builders",
        "data_builders/__init__.py": "import qc_jax.data.table",
    }
    for path, text in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert wrong_directions(imports(tmp_path)) == []


def names_pmap(source: str) -> bool:
    """Whether the code, not its comments or docstrings, names pmap."""
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


def closure(names: tuple[str, ...]) -> set[str]:
    """The installed distributions that these need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "_", waiting.pop()).lower()
        if name in found:
            continue
        try:
            lines = importlib.metadata.requires(name.replace("_", "-")) or []
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


def test_the_core_imports_with_six_packages_alone(run_python, tmp_path):
    core = closure(CORE_REQUIREMENTS)
    assert {"jax", "jaxlib", "flax", "numpy"} <= core
    others = build_file.requirements(ROOT) - core
    assert {"ml_collections", "matplotlib", "tblite", "tensorflow_datasets", "ase"} <= others
    names = {value: key for key, value in build_file.DISTRIBUTIONS.items()}
    blocked = sorted(names.get(item, item) for item in others - {"qc_jax"})
    packages = [f"qc_jax.{name}" for name in CORE if (ROOT / "qc_jax" / name).is_dir()]
    done = run_python("-c", IMPORT_ALL.format(blocked=blocked, packages=packages), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    modules = done.stdout.split()
    assert {"qc_jax.data.table", "qc_jax.train.parallel"} <= set(modules)

    # The block is real: what does need one of them fails under it.
    code = IMPORT_ALL.format(blocked=blocked, packages=["qc_jax.data"])
    done = run_python("-c", code + "\nimport tensorflow_datasets", cwd=tmp_path)
    assert done.returncode == 1 and "tensorflow_datasets" in done.stderr
