"""``recbole-bns predict``: recommendations of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def users_of(value: Any) -> list[str] | None:
    """``--users``: ids separated by commas, a file with one a line, or None for all."""
    if value is None or str(value) == "all":
        return None
    if Path(str(value)).is_file():
        lines = Path(str(value)).read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return [word.strip() for word in str(value).split(",")]
