"""Measures softxent beside its peers and the limit of the machine: `python -m benchmarks[.accuracy]`."""
