"""``recbole-bns export``: vectors of users and items of a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .begin import say, say_weights
from .parser import Parser, choice

FORMATS = ("npz", "csv", "parquet")


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
        "folder for users.FORMAT and items.FORMAT (default: embeddings)",
        metavar="DIR",
        type=Path,
        default=Path("embeddings"),
    )
    made.add(
        "--format",
        "npz (default: ids, vectors), csv, parquet",
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
    from recbole_bns.common.table_files import check_path, write_embeddings
    from recbole_bns.runs.folder import folder_of

    paths = {name: options.out / f"{name}.{options.format}" for name in ("users", "items")}
    check_path(paths["users"], [f".{name}" for name in FORMATS], "--format")
    folder_of(options.checkpoint, "--checkpoint")
    say(f"vectors of {options.checkpoint}")
    from recbole_bns.training import trained

    model = trained.load(options.checkpoint, data_path=options.data_path)
    say_weights(model)
    for name, (ids, vectors) in trained.embeddings(model).items():
        write_embeddings(f"{name[:-1]}_id", ids, vectors, paths[name])
        print(f"written: {paths[name]}, {len(ids)} vectors of {vectors.shape[1]} numbers")
    return 0
