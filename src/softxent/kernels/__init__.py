"""The compiled kernels: they compute rows, and know nothing of any array library."""
