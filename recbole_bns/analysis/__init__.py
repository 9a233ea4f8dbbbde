"""What runs did: read from their folders, tabled and drawn; nothing is trained here.

:func:`read_runs` reads folders (:mod:`.folders`) and says which runs share a row and a table
(:mod:`.rows`). :mod:`.tables` and :mod:`.theory` have the numbers, :func:`charts_of` the charts
(:mod:`.figures`); :func:`write_report` makes a page of all of it (:mod:`.page`, charts by
:mod:`.in_browser`), :func:`write_pictures` files of the charts (:mod:`.as_pictures`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .as_pictures import write_pictures as write_pictures
    from .figures import charts_of as charts_of
    from .page import write_report as write_report
    from .rows import read_runs as read_runs

_HOME = {
    "charts_of": "figures",
    "read_runs": "rows",
    "write_pictures": "as_pictures",
    "write_report": "page",
}
__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recbole_bns.analysis' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
