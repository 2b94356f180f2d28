"""Experiment cards, one a file: what `--config` takes."""
