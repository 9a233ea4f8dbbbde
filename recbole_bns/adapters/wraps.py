"""Functions and methods of RecBole's that another is put around, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

_MARK = "_recbole_bns"


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Have ``around(original, *args)`` called wherever ``owner.name`` is.

    A second call changes nothing.

    Args:
        owner: a module or a class that has the function itself, not by inheritance.
        name: of the function.
        around: called with the original and its arguments.
    """
    original = vars(owner)[name]
    if hasattr(original, _MARK):
        return

    @wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(wrapper, _MARK, True)
    setattr(owner, name, wrapper)
