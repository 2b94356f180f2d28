"""Runs: configurations, sources of data, saved runs, scores, sweeps, results, the command line."""
