"""Functions and methods of RecBole's that another is put around, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
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


def wrap_everywhere(module: Any, name: str, around: Callable[..., Any]) -> None:
    """The same for a function that others may have imported by name already.

    ``from recbole.data import create_dataset`` stands above the first use of this package in most
    programs. The function object stays, and calls ours in place of its own code.
    """
    function: FunctionType = vars(module)[name]
    if hasattr(function, _MARK):
        return
    own = FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    ours = f"{_MARK}_{name}"
    function.__globals__[ours] = lambda *args, **kwargs: around(own, *args, **kwargs)
    made: dict[str, Any] = {}
    exec(f"def call(*args, **kwargs): return {ours}(*args, **kwargs)", made)
    function.__code__, function.__defaults__ = made["call"].__code__, None
    setattr(function, _MARK, True)
