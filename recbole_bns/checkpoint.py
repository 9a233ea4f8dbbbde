"""Checkpoints are data, not code: tensors and plain values, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from .errors import UsageError
from .whole_file import whole_file


def save(state: dict[str, Any], path: str | Path, *, previous: Path | None = None) -> None:
    """Write ``state`` to ``path``; the file appears whole or not at all.

    Args:
        state: tensors and plain values.
        path: of the file.
        previous: where the file that is there goes; by default it is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, previous=previous) as file:
        torch.save(state, file)


def plain_metrics(result: Any) -> dict[str, float] | None:
    """Metrics as plain numbers; None where there are none."""
    return {str(k): float(v) for k, v in result.items()} if result else None


def load(path: str | Path, device: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Raises:
        UsageError: missing, damaged, or not made of tensors and plain values.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise UsageError(f"checkpoint '{path}': there is no such file.") from error
    except Exception as error:  # torch raises half a dozen kinds for a bad file
        raise UsageError(
            f"checkpoint '{path}': damaged, or holds more than tensors and plain values (it would "
            "run code when loaded); allowed are checkpoints that recbole_bns wrote."
        ) from error
    if not isinstance(state, dict) or "state_dict" not in state:
        raise UsageError(f"checkpoint '{path}': holds no model weights.")
    return state


def plain(value: Any) -> Any:
    """A tensor, array or sparse matrix as tensors; :func:`unplain` makes it again."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        return {"kind": "array", "data": torch.from_numpy(np.array(value))}
    if sparse.issparse(value):
        rows = sparse.csr_matrix(value)
        arrays = {name: torch.from_numpy(getattr(rows, name)) for name in _PARTS}
        return {"kind": "sparse", "format": value.format, "shape": value.shape, **arrays}
    return value


_PARTS = ("data", "indices", "indptr")


def unplain(value: Any) -> Any:
    """The inverse of :func:`plain`."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "array":
        return value["data"].cpu().numpy()
    if kind == "sparse":
        arrays = tuple(value[name].cpu().numpy() for name in _PARTS)
        return sparse.csr_matrix(arrays, shape=value["shape"]).asformat(value["format"])
    return value
