"""A screen of a width, and what stood on it."""

from __future__ import annotations

import io

import pytest


class Screen(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True

    def drawn(self) -> list[str]:
        """Every line that was drawn, one over the other too."""
        lines = self.getvalue().replace("\r", "\n").split("\n")
        return [line.rstrip() for line in lines if line.strip()]


def screen_of(width: int, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen so many columns wide."""
    monkeypatch.setenv("COLUMNS", str(width))
    return Screen()


def fits(lines: list[str], width: int) -> bool:
    """Whether no line is longer; the longest is shown where one is."""
    longest = max(lines, key=len)
    assert len(longest) <= width, f"{len(longest)} columns: {longest}"
    return True
