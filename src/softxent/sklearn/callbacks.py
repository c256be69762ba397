"""scikit-learn's callbacks, if it has them (1.9 and later); without them there is no set_callbacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        pass

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)  # a frame as in 1.9: warnings count them
        def without_callbacks(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return without_callbacks


__all__ = ["CallbackSupportMixin", "with_callbacks"]
