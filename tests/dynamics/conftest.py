"""Compilation is what these tests cost."""

from tests.models.conftest import _compile_fast  # noqa: F401  (a fixture for every test here too)
