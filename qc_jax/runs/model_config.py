"""The architecture of a run, as configurations name it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from qc_jax import models
from qc_jax.errors import InputError, choose


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """An architecture and its hyper-parameters.

    Attributes:
      name: That `models.create` knows, or 'module:Class' of a model of one's own.
      hyper_parameters: All of them, but for `outputs`.
      source: 'module:Class' of a model that was registered under its name; else ''.
    """

    name: str
    hyper_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: str = ""

    @classmethod
    def from_dict(cls, given: Any) -> "ModelConfig":
        """Return that of `{"name": "egnn", "hidden": 64}` or of a name alone, defaults filled in.

        Raises:
          InputError: It is something else, or a value is wrong.
        """
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, Mapping):
            raise InputError(f"model: expected a name and hyper-parameters, got {given!r}")
        values = dict(given)
        name, source = values.pop("name", ""), values.pop("source", "")
        if not isinstance(name, str) or not name:
            raise InputError(f"model.name: expected the name of a model, got {name!r}")
        if not isinstance(source, str):
            raise InputError(f"model.source: expected 'module:Class', got {source!r}")
        if not source and ":" not in name and models.origin(name) != name:
            source = models.origin(name)
        made = cls(name, values, source)
        defaults = models.defaults(made.known_as)
        for key in values:
            choose(f"hyper-parameter of {name}", key, defaults)
        made = dataclasses.replace(made, hyper_parameters={**defaults, **values})
        made.create(1)
        return made

    @classmethod
    def of(cls, model: models.Architecture) -> "ModelConfig":
        """Return the configuration of an architecture."""
        values = models.hyper_parameters(type(model))
        given = {name: getattr(model, name) for name in values if name != "outputs"}
        path = f"{type(model).__module__}:{type(model).__qualname__}"
        shipped = path.removeprefix(f"{models.__name__}.").removesuffix(":Model")
        if models.__name__ in path and shipped in models.available():
            return cls(shipped, given)
        for name in models.registered():
            if models.origin(name) == path:
                return cls(name, given, path)
        return cls(path, given)

    @property
    def known_as(self) -> str:
        """Return what `models.create` takes: the name, or the source where it is another here."""
        if not self.source:
            return self.name
        try:
            return self.name if models.origin(self.name) == self.source else self.source
        except InputError:
            return self.source

    def create(self, outputs: int) -> models.Architecture:
        """Return the architecture.

        Raises:
          InputError: No such model here, or a hyper-parameter is wrong.
        """
        return models.create(self.known_as, **self.hyper_parameters, outputs=outputs)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes."""
        source = {"source": self.source} if self.source else {}
        return {"name": self.name, **source, **self.hyper_parameters}
