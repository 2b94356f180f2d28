"""What tests of models share."""

import pytest


@pytest.fixture
def registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr("qc_jax.models._registry._registered", {})
