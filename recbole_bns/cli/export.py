"""``recbole-bns export``: vectors of users and items of a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .begin import say, say_weights
from .parser import Parser, choice

FORMATS = ("npz", "csv", "parquet", "safetensors")


def parser() -> Parser:
    """The flags of ``export``, and its help."""
    made = Parser(
        "export",
        "Write the vectors of users and items of a trained model; their products are its scores\n"
        "(LightGCN's are those after propagation).",
        "example: recbole-bns export --checkpoint=DIR --out=embeddings --format=csv",
    )
    made.add(
        "--checkpoint",
        "a run's folder (the weights that were tested), or a file in it",
        metavar="DIR",
        required=True,
    )
    made.add("--data_path", "the folder of data sets, where it has moved", metavar="DIR")
    made.add(
        "--out",
        "folder for users.FORMAT and items.FORMAT, or vectors.safetensors\n(default: embeddings)",
        metavar="DIR",
        type=Path,
        default=Path("embeddings"),
    )
    made.add(
        "--format",
        "npz (default: ids, vectors), csv, parquet, or safetensors:\n"
        "tensors 'users' and 'items', their ids in the metadata of\n"
        "these names, each a JSON list",
        metavar="FORMAT",
        type=choice(FORMATS),
        default="npz",
    )
    return made


def command(words: Sequence[str]) -> int:
    """Write the vectors.

    Raises:
        UsageError: there is no such run, its data is gone, its model has no vectors, or the files
            cannot be written.
    """
    options = parser().read(words)
    from recbole_bns.common import table_files
    from recbole_bns.runs.folder import folder_of

    together = options.out / f"vectors.{options.format}"
    paths = {name: options.out / f"{name}.{options.format}" for name in ("users", "items")}
    table_files.check_path(paths["users"], [f".{name}" for name in FORMATS], "--format")
    folder_of(options.checkpoint, "--checkpoint")
    say(f"vectors of {options.checkpoint}")
    from recbole_bns.training.model import load

    model = load(options.checkpoint, data_path=options.data_path)
    say_weights(model.trained)
    tables = {"users": model.user_vectors, "items": model.item_vectors}
    found = {name: (list(each.index), each.to_numpy()) for name, each in tables.items()}
    if options.format == "safetensors":
        table_files.write_tensors(found, together)
        paths = dict.fromkeys(paths, together)
    for name, (ids, vectors) in found.items():
        if options.format != "safetensors":
            table_files.write_embeddings(f"{name[:-1]}_id", ids, vectors, paths[name])
        print(f"written: {paths[name]}, {len(ids)} vectors of {vectors.shape[1]} numbers")
    return 0
