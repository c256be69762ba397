"""softxent for Hugging Face: `softxent.transformers.use(model)`, and training no longer holds the logits."""

try:
    import torch as _torch  # noqa: F401  # so that the error names it, not what of it is missing first
    import transformers as _transformers  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"softxent.transformers needs {missing.name}: pip install '.[transformers]' in a clone of softxent",
        name=missing.name,
    ) from None

from softxent.transformers.handle import Handle, use

__all__ = ["Handle", "use"]
