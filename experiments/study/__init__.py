"""The studies of the paper and its rebuttal, one a file; `python -m experiments.study NAME`."""
