"""Thousands of runs of mixed kinds in a row, and what is left of them: `make soak`."""
