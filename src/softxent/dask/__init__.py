"""softxent for Dask: `SoftmaxClassifier` on rows that lie in the partitions of a dask array or dataframe."""

try:
    import dask as _dask  # noqa: F401
    import distributed as _distributed  # noqa: F401
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"softxent.dask needs {missing.name}: pip install '.[dask]' in a clone of softxent", name=missing.name
    ) from None

from softxent.dask.classifier import SoftmaxClassifier

__all__ = ["SoftmaxClassifier"]
