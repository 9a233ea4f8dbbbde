"""What a setting's value must be where no range says it: epochs, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.threads import AUTO

from .intervals import intervals


def anything(value: Any, key: str) -> Any:
    """A value that is checked where it is used, beside others."""
    return value


def one_of(*words: str, any_case: bool = False) -> Callable[[Any, str], Any]:
    """A check that takes these words, perhaps in upper case, too."""

    def check(value: Any, key: str) -> Any:
        if (str(value).lower() if any_case else value) not in words:
            raise UsageError(
                f"{key}: got {value!r}{nearest(str(value), words)}, allowed is one of "
                f"{', '.join(words)}."
            )
        return value

    return check


def epochs_of(value: Any, key: str) -> tuple[int, ...]:
    """Epochs as ``1,10,50``, a list, a single one, or None.

    Raises:
        UsageError: not epochs.
    """
    words = [] if value is None else value if isinstance(value, list) else str(value).split(",")
    try:
        epochs = tuple(int(str(word)) for word in words)
    except ValueError:
        epochs = (0,)
    if any(epoch < 1 for epoch in epochs):
        raise UsageError(f"{key}: got {value!r}, allowed are epochs, counted from 1: 1,10,50.")
    return epochs


NUMBER_OR_AUTO = f"{AUTO}, or an integer >= 1"


ORIGINS = ("preset", "tuned_file")
"""What settings may come from, as a run's ``settings.yaml`` and ``result.json`` call it."""


def origin(value: Any, key: str) -> Any:
    """Names of what settings came from.

    Raises:
        UsageError: not a mapping of :data:`ORIGINS` to names.
    """
    fits = isinstance(value, Mapping) and set(value) <= set(ORIGINS)
    if not fits or not all(isinstance(name, str) for name in value.values()):
        raise UsageError(
            f"{key}: got {value!r}, allowed is a mapping of {' and '.join(ORIGINS)} to names; a "
            "run writes it, leave it out of your own settings."
        )
    return value


def number_or_auto(value: Any, key: str) -> Any:
    """A number of threads or positives, or ``auto``.

    Raises:
        UsageError: neither.
    """
    if value != AUTO and (type(value) is not int or value < 1):
        raise UsageError(f"{key}: got {value!r}, allowed is {NUMBER_OR_AUTO}.")
    return value


def interval_of(value: Any, key: str) -> Any:
    """An interval as RecBole reads it: ``[5,inf)``, or several with ``;`` between them.

    Raises:
        UsageError: it is none, or holds no number.
    """
    intervals(value, key)
    return value


def columns_of(value: Any, key: str) -> Any:
    """File -> names of columns in a list, or ``*`` for all.

    Raises:
        UsageError: not a mapping, or a value of it is neither.
    """
    _check_mapping(value, key, "{inter: [user_id, item_id]}")
    for file, columns in value.items():
        if columns is not None and columns != "*" and not isinstance(columns, list):
            raise UsageError(
                f"{key}.{file}: got {columns!r}, allowed is a list of columns, or '*' for all."
            )
    return value


def intervals_of(value: Any, key: str) -> Any:
    """Column -> interval, or for a column of words the list of those that stay.

    Raises:
        UsageError: not a mapping, or a value of it is neither.
    """
    _check_mapping(value, key, "{rating: '[3,inf)'}")
    for column, each in value.items():
        if not isinstance(each, list):
            interval_of(each, f"{key}.{column}")
    return value


def clipping_of(value: Any, key: str) -> Any:
    """What ``torch.nn.utils.clip_grad_norm_`` takes: ``max_norm``, and perhaps ``norm_type``.

    Raises:
        UsageError: not a mapping of these, or no ``max_norm`` above 0.
    """
    _check_mapping(value, key, "{max_norm: 1}")
    names = ("max_norm", "norm_type", "error_if_nonfinite", "foreach")
    for name in value:
        if name not in names:
            hint = nearest(str(name), names)
            raise UsageError(f"{key}.{name}: no such parameter{hint}; allowed: {', '.join(names)}.")
    norm = value.get("max_norm")
    if isinstance(norm, bool) or not isinstance(norm, (int, float)) or not norm > 0:
        raise UsageError(f"{key}.max_norm: got {norm!r}, allowed is a number > 0.")
    return value


def _check_mapping(value: Any, key: str, example: str) -> None:
    if not isinstance(value, Mapping):
        raise UsageError(f"{key}: got {value!r}, allowed is a mapping such as {example}.")
