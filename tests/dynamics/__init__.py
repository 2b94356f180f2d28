"""Tests of trained models as potentials."""
