"""The room of NumPy."""
