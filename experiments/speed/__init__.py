"""Timings of what runs on this machine."""
