"""BUILD tells the truth about the tree, and a BUILD that does not is caught."""

import pathlib
import shutil

import pytest

from tests import build_file

ROOT = pathlib.Path(__file__).resolve().parents[1]

TREE = {
    "requirements.txt": "absl-py>=2\njax>=0.10  # why\nnumpy\n",
    "pyproject.toml": '[project.optional-dependencies]\ntest = ["pytest>=8", "house[tf]"]\n',
    "qc_jax/__init__.py": "",
    "qc_jax/errors.py": "import sys\n",
    "qc_jax/chem/__init__.py": "",
    "qc_jax/chem/elements.py": "import numpy as np\nfrom qc_jax.errors import choose\n",
    "qc_jax/chem/elements.csv": "H,1\n",
    "qc_jax/data/__init__.py": "",
    "qc_jax/data/table.py": "from qc_jax.chem import elements\nfrom . import scaling\n",
    "qc_jax/data/scaling.py": "import jax.numpy as jnp\n",
    "experiments/__init__.py": "",
    "experiments/cli.py": "from absl import app\n",
    "experiments/train.py": (
        "from experiments import cli\nfrom qc_jax.data.table import open_table\n"
        'CARD = "experiments/configs/egnn.py"\nif __name__ == "__main__":\n    cli.run()\n'
    ),
    "experiments/configs/egnn.py": "import numpy\n",
    "data_builders/__init__.py": "",
    "tests/__init__.py": "",
    "tests/conftest.py": "import pytest\n",
    "tests/fixtures/numbers.npz": "",
    "tests/data/test_table.py": "import qc_jax.data.table\n",
    "tests/experiments/test_train.py": 'ARGS = ["-m", "experiments.train"]\n',
}
BUILD = """\
load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

py_library(
    name = "qc_jax",
    srcs = ["qc_jax/__init__.py"],
)

py_library(
    name = "errors",
    srcs = ["qc_jax/errors.py"],
)

py_library(
    name = "chem",
    srcs = [
        "qc_jax/chem/__init__.py",
        "qc_jax/chem/elements.py",
    ],
    data = ["qc_jax/chem/elements.csv"],
    deps = [
        ":errors",
        "@pypi//numpy",
    ],
)

py_library(
    name = "data",
    srcs = [
        "qc_jax/data/__init__.py",
        "qc_jax/data/scaling.py",
        "qc_jax/data/table.py",
    ],
    deps = [
        ":chem",
        "@pypi//jax",
    ],
)

py_library(
    name = "experiments",
    srcs = [
        "experiments/__init__.py",
        "experiments/cli.py",
    ],
    deps = ["@pypi//absl_py"],
)

py_library(
    name = "configs",
    srcs = ["experiments/configs/egnn.py"],
    deps = ["@pypi//numpy"],
)

py_binary(
    name = "experiments/train",
    srcs = ["experiments/train.py"],
    data = [":configs"],
    deps = [
        ":data",
        ":experiments",
    ],
)

py_library(
    name = "data_builders",
    srcs = ["data_builders/__init__.py"],
)

py_library(
    name = "tests",
    testonly = True,
    srcs = [
        "tests/__init__.py",
        "tests/conftest.py",
    ],
    data = ["tests/fixtures/numbers.npz"],
    deps = ["@pypi//pytest"],
)

py_test(
    name = "data_test",
    srcs = ["tests/data/test_table.py"],
    args = ["tests/data"],
    main_module = "pytest",
    deps = [
        ":data",
        ":tests",
        "@pypi//pytest",
    ],
)

py_test(
    name = "experiments_test",
    srcs = ["tests/experiments/test_train.py"],
    args = ["tests/experiments"],
    data = [":experiments/train"],
    main_module = "pytest",
    deps = [
        ":tests",
        "@pypi//pytest",
    ],
)
"""


@pytest.fixture
def tree(tmp_path):
    """A small right tree with the BUILD above, written by hand; tests break one thing in it."""
    for path, text in TREE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "BUILD").write_text(BUILD)
    return tmp_path


def test_build_tells_the_truth_about_this_tree():
    assert build_file.check(ROOT) == []


def test_the_small_tree_is_right(tree):
    assert build_file.check(tree) == []


def test_writing_gives_what_is_kept_by_hand(tree):
    written = build_file.render(build_file.plan(tree))
    without_comments = [line for line in written.splitlines() if not line.startswith("#")]
    assert "\n".join(without_comments)[written.index("load(") :].replace("\n\n\n", "\n\n") == (
        BUILD.rstrip("\n")
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # a source in no target, or in two
        ('        "qc_jax/data/scaling.py",\n', "", "qc_jax/data/scaling.py is in no target"),
        (
            'srcs = ["qc_jax/errors.py"]',
            'srcs = ["qc_jax/__init__.py", "qc_jax/errors.py"]',
            "qc_jax/__init__.py is in two targets",
        ),
        ('    data = ["qc_jax/chem/elements.csv"],\n', "", "qc_jax/chem/elements.csv is in no"),
        # a file that is not there
        ("elements.csv", "elements.tsv", "chem names qc_jax/chem/elements.tsv, which is not there"),
        (
            '"experiments/cli.py",',
            '"experiments/cli.py",\n        "experiments/tool.py",',
            "experiments names experiments/tool.py, which is not there",
        ),
        # deps that are not the imports
        ('        ":errors",\n        "@pypi//numpy"', '        "@pypi//numpy"', "lacks :errors"),
        ('        ":errors",\n        "@pypi//numpy"', '        ":errors"', "lacks @pypi//numpy"),
        ('        ":chem",\n', "", "data: deps lacks :chem"),
        ('        ":chem",\n', '        ":chem",\n        ":errors",\n', "deps has unused :errors"),
        (
            '        "@pypi//jax"',
            '        "@pypi//jax",\n        "@pypi//numpy"',
            "data: deps has unused @pypi//numpy",
        ),
        ("    data = [\":configs\"],\n", "", "experiments/train: data lacks :configs"),
        ('    data = [":experiments/train"],\n', "", "data lacks :experiments/train"),
        ('        ":tests",\n        "@', '        "@', "deps lacks :tests"),
        # labels of nothing
        ('        ":chem",', '        ":chemistry",', "data: :chemistry names no target"),
        ('        ":chem",', '        "//qc_jax:chem",', "data: //qc_jax:chem names no target"),
        ('"@pypi//absl_py"', '"@pypi//absl"', "@pypi//absl is in no requirement"),
        # what Bazel would refuse
        ('name = "errors",', 'name = "errors",\n    deps = [":chem"],', "a cycle of targets"),
        ('name = "errors"', 'name = "chem"', "two targets are called chem"),
        ('"py_binary", "py_library"', '"py_library"', "py_binary is not loaded"),
        ('srcs = ["qc_jax/errors.py"]', 'srcs = glob(["qc_jax/*.py"])', "a value that is no"),
        ("deps = [\"@pypi//absl_py\"]", 'dep = ["@pypi//absl_py"]', "unexpected keyword argument"),
        ('name = "experiments/train"', 'name = "experiments/run"', "no source experiments/run.py"),
        ('deps = ["@pypi//absl_py"]', 'deps = [":tests", "@pypi//absl_py"]', ":tests is for tests"),
        ("py_library(\n    name = \"errors\"", "py_libary(\n    name = \"errors\"", "unknown rule"),
        ('package(default', "x = 1\npackage(default", "expected a call, got 'x = 1'"),
        ('name = "errors",', 'name = "errors"', "BUILD line "),
        # tests that would not run
        ('args = ["tests/data"]', 'args = ["tests/dta"]', "data_test: a py_test is test files"),
        ('    main_module = "pytest",\n', "", "data_test: a py_test is test files"),
        # order
        (
            '        ":data",\n        ":experiments",',
            '        ":experiments",\n        ":data",',
            "experiments/train: deps is not sorted",
        ),
    ],
)  # fmt: skip
def test_a_wrong_build_is_caught(tree, old, new, expected):
    assert old in BUILD
    (tree / "BUILD").write_text(BUILD.replace(old, new, 1))
    problems = build_file.check(tree)
    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("qc_jax/data/new.py", "", "qc_jax/data/new.py is in no target"),
        ("tests/chem/test_new.py", "", "tests/chem/test_new.py is in no target"),
        ("tests/fixtures/new.csv", "", "tests/fixtures/new.csv is in no target"),
        ("qc_jax/errors.py", "import jax\n", "errors: deps lacks @pypi//jax"),
        ("qc_jax/errors.py", "def f():\n    import jax\n", "errors: deps lacks @pypi//jax"),
        (
            "qc_jax/errors.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\n",
            "errors: deps lacks @pypi//numpy",
        ),
        ("qc_jax/errors.py", "import jax.numpy as jnp\n", "errors: deps lacks @pypi//jax"),
        ("qc_jax/errors.py", "import chex\n", "errors: deps lacks @pypi//chex"),
        ("qc_jax/errors.py", "from qc_jax import data\n", "errors: deps lacks :data"),
        ("qc_jax/errors.py", "from .data.table import x\n", "errors: deps lacks :data"),
        ("qc_jax/errors.py", "import qc_jax\nqc_jax.f()\n", "errors: deps lacks :qc_jax"),
        ("qc_jax/errors.py", "from qc_jax import __version__\n", "errors: deps lacks :qc_jax"),
        ("qc_jax/errors.py", "from qc_jax.nothing import x\n", "imports qc_jax.nothing, which"),
        ("qc_jax/errors.py", "importlib.import_module('jax')\n", "errors: deps lacks @pypi//jax"),
        ("qc_jax/data/scaling.py", "", "data: deps has unused @pypi//jax"),
        ("qc_jax/data/table.py", "from . import scaling\n", "data: deps has unused :chem"),
        ("tests/data/test_table.py", "import absl.flags\n", "data_test: deps lacks @pypi//absl_py"),
        ("tests/experiments/test_train.py", "", "data has unused :experiments/train"),
    ],
)
def test_a_tree_that_moved_on_is_caught(tree, path, text, expected):
    (tree / path).parent.mkdir(exist_ok=True)
    (tree / path).write_text(text)
    problems = build_file.check(tree)
    assert any(expected in problem for problem in problems), problems


def test_a_test_that_skips_without_a_package_does_not_depend_on_it(tree):
    path = tree / "tests" / "data" / "test_table.py"
    path.write_text(path.read_text() + "\ntorch = pytest.importorskip('torch')\n")
    assert build_file.check(tree) == []


def test_a_script_that_made_a_fixture_may_need_what_the_package_does_not(tree):
    script = tree / "tests" / "fixtures" / "make_numbers.py"
    script.write_text('import torch\nif __name__ == "__main__":\n    torch.save()\n')
    target = (
        'py_binary(\n    name = "tests/fixtures/make_numbers",\n    testonly = True,\n'
        '    srcs = ["tests/fixtures/make_numbers.py"],\n    deps = ["@pypi//torch"],\n)\n'
    )
    (tree / "BUILD").write_text(f"{BUILD}\n{target}")
    assert build_file.check(tree) == [
        "tests/fixtures/make_numbers: @pypi//torch is in no requirement of this package"
    ]
    tagged = target.replace("    deps", '    tags = ["manual"],\n    deps')
    (tree / "BUILD").write_text(f"{BUILD}\n{tagged}")
    assert build_file.check(tree) == []


def test_a_file_that_is_gone_is_caught(tree):
    shutil.rmtree(tree / "qc_jax" / "chem")
    problems = build_file.check(tree)
    assert "chem names qc_jax/chem/elements.py, which is not there" in problems
    assert "chem names qc_jax/chem/elements.csv, which is not there" in problems


def test_every_folder_of_tests_is_a_package():
    """Otherwise two test files of one name in two folders could not be collected."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
