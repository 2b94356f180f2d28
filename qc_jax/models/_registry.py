"""Architectures by name: those of this package, a user's own, and those of installed packages."""

import importlib
import importlib.metadata
import os
import pkgutil
import sys

from qc_jax.errors import InputError, choose, expect
from qc_jax.models._base import Architecture, hyper_parameters

GROUP = "qc_jax.models"  # of entry points: `mynet = "my_package.my_module:Model"`

_PACKAGE = __package__ or ""
_registered: dict[str, type[Architecture]] = {}


def available() -> tuple[str, ...]:
    """Return the names of all models: the package's, registered ones, and entry points.

    Example:
      >>> "egnn" in available()
      True
    """
    return tuple(sorted({*_own(), *_registered, *_entry_points()}))


def registered() -> tuple[str, ...]:
    """Return the names of models that are not of this package: registered, and entry points."""
    return tuple(sorted({*_registered, *_entry_points()}))


def register(name: str, model: type[Architecture]) -> type[Architecture]:
    """Make a model known under a name, for `create(name)` and the scripts' `--config.model`.

    A model that is defined anew, as a notebook's cell does it, takes the place of its former self.

    Raises:
      InputError: the name is another model's, or `model` does not keep the contract's outlines.

    Example:
      >>> from qc_jax.models.egnn import Model
      >>> class Wide(Model):
      ...     hidden: int = 256
      >>> _ = register("wide_egnn", Wide)
      >>> "wide_egnn" in available()
      True
    """
    if not name.isidentifier() or name.startswith("_"):
        raise InputError(f"model name: expected letters, digits and _ like 'mynet', got {name!r}")
    _require_architecture(f"register({name!r}, …)", model)
    if name in _own():
        raise InputError(f"there are two models called {name!r}: one of qc_jax, {_where(model)}")
    for other in (_registered.get(name), *(_load(each) for each in _entry_points().get(name, ()))):
        if other is not None and _where(other) != _where(model):
            raise InputError(
                f"there are two models called {name!r}: {_where(other)}, {_where(model)}"
            )
    _registered[name] = model
    return model


def resolve(name: str) -> type[Architecture]:
    """Return the class that a name, or a path like 'my_module:Model', stands for.

    A module is looked for where Python looks, and in the current directory.

    Raises:
      InputError: no such name, module or class; or two models have the name.
    """
    expect("model", name, str, "the name of a model")
    if ":" in name:
        return _load(name)
    if name in _own():
        return importlib.import_module(f"{_PACKAGE}.{name}").Model
    if name in _registered:
        return _registered[name]
    found = _entry_points().get(name, ())
    if len(found) > 1:
        raise InputError(f"there are two models called {name!r}: {', '.join(found)}")
    if found:
        return _load(found[0])
    choose("model", name, available())
    raise AssertionError(name)


def origin(name: str) -> str:
    """Return what `create` takes in any process: a name of this package, or 'module:Class'.

    Raises:
      InputError: as `resolve`.
    """
    return name if name in _own() else _where(resolve(name))


def _own() -> tuple[str, ...]:
    folder = importlib.import_module(_PACKAGE).__path__
    names = (module.name for module in pkgutil.iter_modules(folder))
    return tuple(sorted(each for each in names if not each.startswith("_")))


def _entry_points() -> dict[str, tuple[str, ...]]:
    """Return where installed packages have models: their paths by name."""
    found: dict[str, set[str]] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(point.name, set()).add(point.value)
    return {name: tuple(sorted(paths)) for name, paths in found.items()}


def _where(model: type[Architecture]) -> str:
    return f"{model.__module__}:{model.__qualname__}"


def _load(path: str) -> type[Architecture]:
    """Return the class at 'module:Class'."""
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise InputError(f"model: expected my_module:Model, got {path!r}")
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(
                f"model {path}: there is no module {error.name} where Python looks, nor in {here}"
            ) from error
        raise InputError(f"model {path}: it needs {error.name}, which is not installed") from error
    except Exception as error:
        line = " ".join(str(error).split())
        raise InputError(
            f"model {path}: its module fails on import: {type(error).__name__}: {line}"
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    model: object = module
    for part in class_name.split("."):
        if not hasattr(model, part):
            raise InputError(f"model {path}: {module_name} has no {class_name}")
        model = getattr(model, part)
    return _require_architecture(f"model {path}", model)


def _require_architecture(what: str, model: object) -> type[Architecture]:
    """Return `model` where it is a class that keeps the outlines of the contract."""
    if not (isinstance(model, type) and issubclass(model, Architecture)):
        raise InputError(f"{what}: expected a subclass of qc_jax.models.Architecture, got {model}")
    fields = hyper_parameters(model)
    if "outputs" not in fields:
        raise InputError(f"{what}: expected a field `outputs: int = 1`, and it has none")
    for name, each in fields.items():
        if each.default is each.default_factory:  # both are dataclasses.MISSING
            raise InputError(f"{what}: its field {name} has no default")
    return model
