"""Checkpoints are data, not code: tensors and plain values, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import whole_file
from recbole_bns.common.version import __version__
from recbole_bns.settings.declared import NO_MIXER, OWN_LOSS

from .records import RunConfig

FORMAT = 1
"""Number of the files' format; a file of another one is not read."""
OF = ("model", "dataset", "neg_sampler", "loss", "mixer")
"""Names of the settings that a checkpoint belongs to."""


def save(state: dict[str, Any], path: str | Path, *, previous: Path | None = None) -> None:
    """Write ``state`` to ``path``; the file appears whole or not at all.

    The format and our version are written with it. The bytes are made in memory first: torch's
    writer calls a file of Python's from C++, and a Ctrl-C that comes meanwhile makes the process
    abort ("terminate called after throwing ... error_already_set").

    Args:
        state: tensors and plain values.
        path: of the file.
        previous: where the file that is there goes; by default it is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    torch.save({"format": FORMAT, "version": __version__, **state}, content)
    with whole_file(path, previous=previous) as file:
        file.write(content.getbuffer())


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


def check(
    state: Mapping[str, Any],
    path: str | Path,
    config: RunConfig,
    remedy: str,
    keys: Sequence[str] = OF,
) -> None:
    """Make sure that a checkpoint can be used for what a ``Config`` describes.

    Args:
        state: of :func:`load`.
        path: where it is from.
        config: with the settings ``keys``.
        remedy: what to do with a checkpoint of something else.
        keys: settings that must be those of the checkpoint.

    Raises:
        UsageError: names what differs: the format, or a setting.
    """
    version = state.get("version", "unknown")
    if state.get("format", FORMAT) != FORMAT:
        raise UsageError(
            f"checkpoint '{path}': its format is {state['format']!r}, wanted is {FORMAT}; it was "
            f"written by recbole-bns {version}, this is {__version__}: install that one."
        )
    for key in keys:
        held, wanted = _said(state.get(key), key), _said(config[key], key)
        if held != wanted:
            raise UsageError(
                f"checkpoint '{path}': its {key} is {held!r}, wanted is {wanted!r} "
                f"(it was written by version {version}); {remedy}."
            )


def _said(value: Any, key: str) -> Any:
    """A setting's value; one of old, and RecBole's own ``Config``, say nothing of these two."""
    unsaid = {"loss": OWN_LOSS, "mixer": NO_MIXER}
    return str(value or unsaid[key]).lower() if key in unsaid else value


def fingerprint(train: Any) -> str:
    """16 hex digits that tell training parts apart: by users, items, and who has what.

    Args:
        train: a data set of RecBole, built. The order of its interactions does not matter, that
            of the ids does: RecBole numbers them as they come in the file.
    """
    digest = sha256()
    for field in (train.uid_field, train.iid_field):
        digest.update("\0".join(map(str, train.field2id_token[field])).encode() + b"\1")
    users, items = (train.inter_feat[f].numpy() for f in (train.uid_field, train.iid_field))
    digest.update(np.sort(users.astype(np.int64) * train.item_num + items).tobytes())
    return digest.hexdigest()[:16]


def check_data(state: Mapping[str, Any], path: str | Path, data: str, remedy: str) -> None:
    """Make sure that a checkpoint was trained on what lies in the data folder now.

    Args:
        state: of :func:`load`; one of an older version, which says nothing, passes.
        path: where it is from.
        data: :func:`fingerprint` of today's training part.
        remedy: what to do where it is another.

    Raises:
        UsageError: the interactions or the order of the ids have changed.
    """
    if state.get("data", data) != data:
        raise UsageError(
            f"checkpoint '{path}': it was trained on other interactions of '{state['dataset']}', "
            "or they stood in another order (RecBole numbers users and items as they come), so "
            f"its rows belong to others now; bring the old file back, or {remedy}."
        )


def others(model: Any) -> dict[str, Any]:
    """What a model of RecBole keeps beside its weights, as plain values.

    Modules are left out (SASRecF names its feature tables): their weights are the model's.
    """
    kept = model.other_parameter().items()
    return {name: plain(value) for name, value in kept if not isinstance(value, nn.Module)}


def restore(model: Any, state: Mapping[str, Any], path: str | Path) -> None:
    """Give a model the weights of a checkpoint, and what else it keeps.

    Args:
        model: of RecBole.
        state: of :func:`load`.
        path: where it is from.

    Raises:
        UsageError: they are those of a model of another size.
    """
    kept, wanted = state["state_dict"], model.state_dict()
    for name in [*wanted, *kept]:
        sizes = [f"{list(s[name].shape)}" if name in s else "missing" for s in (kept, wanted)]
        if sizes[0] != sizes[1] and "[0]" not in sizes:  # what is empty is filled while training
            raise UsageError(
                f"checkpoint '{path}': its weights do not fit the model, {name} is {sizes[0]}, "
                f"wanted is {sizes[1]}; the data set or the model's settings have changed since, "
                "bring them back or train anew."
            )
    model.load_state_dict(kept)
    model.load_other_parameter(
        {name: unplain(value) for name, value in state["other_parameter"].items()}
    )


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
