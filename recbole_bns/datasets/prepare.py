"""``recbole-bns prepare``: original files of a public data set become RecBole's atomic files.

All is read and checked before anything is written. Ids stay those of the originals.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from recbole_bns.common.errors import UsageError, nearest

from .originals import ITEM, USER, File, Original, locate, read
from .recipes import RECIPES, Recipe
from .write import check_target, write_folder


@dataclass(frozen=True)
class Prepared:
    """A data set that was written: its folder, its files, label -> (found, expected), remarks."""

    folder: Path
    files: tuple[str, ...]
    counts: Mapping[str, tuple[int, int]]
    remarks: tuple[str, ...]


def prepare(name: str, source: Path, out: Path, *, overwrite: bool = False) -> Prepared:
    """Write ``out/name/`` with the atomic files of a data set.

    Args:
        name: one of :data:`.recipes.RECIPES`.
        source: a folder with the original files, the main one of them, or a zip archive.
        out: folder of data sets, RecBole's ``data_path``.
        overwrite: replace the files of an earlier run.

    Raises:
        UsageError: unknown name, a file is missing, a line is malformed, a pair is there twice,
            or the folder exists. Nothing is written then.
    """
    if name not in RECIPES:
        raise UsageError(
            f"data set: got '{name}'{nearest(name, RECIPES)}; allowed: {', '.join(RECIPES)}."
        )
    recipe = RECIPES[name]
    check_target(out / name, overwrite=overwrite)
    found = _find(recipe, source)
    parts = _read_ratings(recipe, found)
    pairs = pd.concat(parts, ignore_index=True)
    users, remarks = _read_users(recipe, found, pairs)
    files = {f"{name}.inter": pairs}
    if recipe.split:
        files = {
            f"{name}.{part}.inter": frame[[USER, ITEM]]
            for part, frame in zip(recipe.parts, parts, strict=True)
        }
    if users is not None:
        files[f"{name}.user"] = users
    labels = ("users", "items", "interactions", *recipe.parts)
    sizes = [pairs[USER].nunique(), pairs[ITEM].nunique(), len(pairs)]
    sizes += [len(part) for part in parts if recipe.parts]
    counts = dict(zip(labels, zip(sizes, recipe.counts, strict=True), strict=True))
    write_folder(out / name, files, overwrite=overwrite)
    return Prepared(out / name, tuple(files), counts, remarks)


def _find(recipe: Recipe, source: Path) -> dict[Original, File]:
    """The files of a recipe; those with ratings are all there."""
    wanted = recipe.ratings if recipe.users is None else (*recipe.ratings, recipe.users)
    found = locate(source, wanted) if source.exists() else {}
    for original in recipe.ratings:
        if original not in found:
            raise UsageError(
                f"--from: there is no {original.name} in '{source}'; it comes from "
                f"{recipe.origin}: name its folder, the file itself or a zip archive."
            )
    return found


def _read_ratings(recipe: Recipe, found: Mapping[Original, File]) -> list[pd.DataFrame]:
    parts = [read(found[original], original) for original in recipe.ratings]
    places = [found[original].where for original in recipe.ratings]
    _check_once(dict(zip(places, parts, strict=True)), [USER, ITEM])
    if recipe.last_user is not None:
        parts[0] = parts[0][parts[0][USER].astype(int) <= recipe.last_user]
    return parts


def _check_once(frames: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> None:
    """Make sure that the same user and item are not there twice, in one file or in two.

    Args:
        frames: where the file is -> its content.
        columns: that are unique together.

    Raises:
        UsageError: names both lines.
    """
    keys = pd.concat([frame[list(columns)] for frame in frames.values()], ignore_index=True)
    again = keys.duplicated().to_numpy()
    if not again.any():
        return
    places = [(where, line) for where, frame in frames.items() for line in frame.index]
    second = int(again.argmax())
    first = int((keys == keys.iloc[second]).all(axis=1).to_numpy().argmax())
    what = " and ".join(
        f"{column.partition('_')[0]} {value}" for column, value in keys.iloc[second].items()
    )
    raise UsageError(
        f"{places[second][0]}, line {places[second][1]}: {what} for the second time, "
        f"after {places[first][0]}, line {places[first][1]}; remove one of the two."
    )


def _read_users(
    recipe: Recipe, found: Mapping[Original, File], pairs: pd.DataFrame
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Features of users, or None; what is to be said about them."""
    if recipe.users is not None:
        file = found.get(recipe.users)
        if file is None:
            return None, (f"There is no {recipe.users.name}: no features of users.",)
        users = read(file, recipe.users)
        _check_once({file.where: users}, [USER])
        return users, ()
    if not recipe.first_appearance:
        return None, ()
    users = _users_by_first_appearance(pairs)
    if users is None:
        return None, (
            "WARNING: not all pairs are ratings of ML-100K under the ids of the BNS "
            "authors: no features of users.",
        )
    return users, ()


def _users_by_first_appearance(pairs: pd.DataFrame) -> pd.DataFrame | None:
    """ML-100K's users under the ids of the BNS authors, or None where the ids are others.

    An id is the order of first appearance in the ``ml-100k.inter`` inside RecBole, of users and
    items alike. That every pair is a rating there tells these ids from others.
    """
    spec = find_spec("recbole")
    inside = Path(str(spec and spec.origin)).parent / "dataset_example" / "ml-100k" / "ml-100k"
    ratings = pd.read_csv(f"{inside}.inter", sep="\t", dtype=str, usecols=[USER, ITEM])
    users, order = pd.factorize(ratings[USER])
    items, catalogue = pd.factorize(ratings[ITEM])
    ours = pairs[USER].astype(int) * len(catalogue) + pairs[ITEM].astype(int)
    if not ours.isin(users * len(catalogue) + items).all():
        return None
    features = pd.read_csv(f"{inside}.user", sep="\t", dtype=str, keep_default_na=False)
    features = features.set_index(USER).loc[order].reset_index(drop=True)
    features.insert(0, USER, features.index.astype(str))
    return features


def report(prepared: Prepared) -> str:
    """Counts beside the expected ones, remarks, what was written, the next command."""
    folder, counts = prepared.folder, prepared.counts
    rows = [
        [label, f"{found:,}", f"{expected:,}", "yes" if found == expected else "NO"]
        for label, (found, expected) in counts.items()
    ]
    heads = [folder.name, "found", "expected", "equal"]
    sides = ("left", "right", "right", "left")
    wrong = [label for label, (found, expected) in counts.items() if found != expected]
    verdict = "All counts are as expected."
    if wrong:
        verdict = (
            "WARNING: this is not the whole data set as it is published; results on it cannot be "
            f"compared with published ones ({'; '.join(wrong)})."
        )
    return "\n".join(
        [
            tabulate(rows, heads, colalign=sides, disable_numparse=True),
            "",
            verdict,
            *prepared.remarks,
            "",
            f"written: {', '.join(str(folder / file) for file in prepared.files)}",
            f"next:    recbole-bns run --dataset={folder.name} "
            f"--data_path={shlex.quote(str(folder.parent))} --neg_sampler=bns",
        ]
    )
