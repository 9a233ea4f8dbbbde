"""Tables of what ``recbole-bns tune`` has left in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_bns.errors import UsageError


def is_sweep(folder: Path) -> bool:
    """Whether ``recbole-bns tune`` wrote the folder."""
    return (folder / "sweep.json").is_file()


def trials_table(folder: Path) -> pd.DataFrame:
    """Trials of a sweep, a line a trial and searched number.

    Returns:
        columns parameter, value (log10 of those searched log-uniformly), status, metric, score.

    Raises:
        UsageError: a file of the sweep cannot be read.
    """
    try:
        held = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["held"]
        trials = pd.read_csv(folder / "trials.csv")
        trials = trials[trials[held["metric"]].notna()]
        parts = []
        for key, kind in held["space"].items():
            values = pd.to_numeric(trials[key], errors="coerce")
            name = key.removeprefix("neg_sampler_args.")
            if "loguniform" in kind:
                values, name = np.log10(values), f"log10 of {name}"
            columns = {"parameter": name, "value": values, "status": trials["status"],
                       "metric": held["metric"], "score": trials[held["metric"]]}  # fmt: skip
            parts.append(pd.DataFrame(columns).dropna())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"report: cannot read the sweep in '{folder}': {error}.") from error
    return pd.concat(parts, ignore_index=True)
