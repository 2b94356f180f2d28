"""Tests of qc_jax.dftb."""
