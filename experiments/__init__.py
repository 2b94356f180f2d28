"""Scripts: run them as `python -m experiments.NAME`; each has --help."""
