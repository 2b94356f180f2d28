"""Models of a user's own: registered, named by a path, or of an installed package."""

import importlib
import sys

import flax.linen as nn
import pytest

from qc_jax import models
from qc_jax.errors import InputError

SOURCE = '''"""A module of a user's."""
import flax.linen as nn
from qc_jax.models import Architecture, field

class Mine(Architecture):
    """My Net: nobody, 2026."""
    outputs: int = 1
    width: int = field(4, at_least=2)

    @nn.compact
    def __call__(self, batch, train=False):
        bond = batch.positions[:, 1] - batch.positions[:, 0]
        return nn.Dense(self.outputs)(nn.Dense(self.width)(bond**2))

class NoOutputs(Architecture):
    width: int = 4

class Plain(nn.Module):
    outputs: int = 1
'''


@pytest.fixture
def module(registry, tmp_path, monkeypatch):
    """A module `user_nets` in the current directory, which is not where Python looks."""
    (tmp_path / "user_nets.py").write_text(SOURCE)
    (tmp_path / "user_broken.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "user_error.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield
    for name in ("user_nets", "user_broken", "user_error"):
        sys.modules.pop(name, None)


def test_a_path(module):
    made = models.create("user_nets:Mine", width=3)
    assert (made.width, made.outputs, made.inputs) == (3, 1, ("atomic_numbers", "positions"))
    assert (made.cutoff, made.dropout, made.max_atomic_number, made.smooth) == (None,) * 3 + (True,)
    assert models.origin("user_nets:Mine") == "user_nets:Mine"
    got = models.describe("user_nets:Mine")
    assert (got.title, got.paper, got.parameters) == ("My Net", "nobody, 2026", 21)


def test_a_registered_name(module):
    models.create("user_nets:Mine")
    mine = sys.modules["user_nets"].Mine
    models.register("mynet", mine)
    assert "mynet" in models.available()
    assert models.create("mynet", width=5) == mine(width=5)
    assert models.origin("mynet") == "user_nets:Mine" and models.origin("egnn") == "egnn"
    models.register("mynet", mine)  # again, as a notebook does
    with pytest.raises(InputError, match=r"two models called 'mynet': user_nets:Mine, .*Other"):
        models.register("mynet", Other)
    with pytest.raises(InputError, match="two models called 'egnn': one of qc_jax, user_nets:Mine"):
        models.register("egnn", mine)


class Other(models.Architecture):
    outputs: int = 1


def install(folder, package: str, path: str) -> None:
    """Make a folder where Python looks hold an installed package with the model 'theirs'."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{models.GROUP}]\ntheirs = {path}\n")


def test_an_entry_point(module, tmp_path, monkeypatch):
    site = tmp_path / "site"
    site.mkdir()
    install(site, "one", "user_nets:Mine")
    monkeypatch.syspath_prepend(str(site))
    assert "theirs" in models.available() and models.create("theirs").width == 4
    assert models.origin("theirs") == "user_nets:Mine"
    with pytest.raises(InputError, match=r"two models called 'theirs': .*, .*Other"):
        models.register("theirs", Other)
    install(site, "two", "user_nets:Plain")
    importlib.invalidate_caches()
    with pytest.raises(InputError, match="two models called 'theirs': user_nets:Mine, user_nets:P"):
        models.create("theirs")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "nowhere:Model",
            "model nowhere:Model: there is no module nowhere where Python looks, nor",
        ),
        ("user_nets.sub:Model", "there is no module user_nets.sub"),
        ("user_nets:Model", "user_nets has no Model"),
        ("user_nets:Plain", "expected a subclass of qc_jax.models.Architecture, got <class"),
        ("user_nets:NoOutputs", "expected a field `outputs: int = 1`, and it has none"),
        ("user_broken:Model", "it needs nowhere_to_be_found, which is not installed"),
        ("user_error:Model", "its module fails on import: ZeroDivisionError: division by zero"),
        (":Model", "expected my_module:Model, got ':Model'"),
        ("user_nets:", "expected my_module:Model, got 'user_nets:'"),
    ],
)
def test_bad_paths(module, name, words):
    with pytest.raises(InputError) as caught:
        models.create(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        ("my net", Other, "expected letters, digits and _ like 'mynet', got 'my net'"),
        ("mynet", nn.Dense, "expected a subclass of qc_jax.models.Architecture"),
        ("mynet", Other(), "expected a subclass of qc_jax.models.Architecture"),
    ],
)
def test_bad_registrations(registry, name, model, words):
    with pytest.raises(InputError, match=words):
        models.register(name, model)
