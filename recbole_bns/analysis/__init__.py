"""What negatives a sampler gives: measured, tabled and drawn, each apart.

``quality`` has the measures, ``recorder`` takes them while training. From folders of runs,
:func:`read_runs` makes tables, :func:`charts_of` charts of the tables, :func:`write_report` a page
and :func:`write_pictures` files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .as_pictures import write_pictures as write_pictures
    from .figures import charts_of as charts_of
    from .page import write_report as write_report
    from .tables import read_runs as read_runs

_HOME = {
    "charts_of": "figures",
    "read_runs": "tables",
    "write_pictures": "as_pictures",
    "write_report": "page",
}
__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recbole_bns.analysis' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
