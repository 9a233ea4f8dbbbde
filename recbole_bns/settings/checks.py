"""Checks of values whose allowed ones come from elsewhere, each with a sentence.

They are asked twice: of a table before PyTorch and RecBole are imported (:mod:`.early`), and of the
code itself (``adapters/checks.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError, nearest, unknown

from .declared import check_value, declared
from .known import elsewhere
from .properties import PROPERTIES
from .values import epochs_of


def unknown_model(name: str, models: Iterable[str]) -> UsageError:
    """For a name that RecBole does not know, with the nearest."""
    return UsageError(
        f"model: got '{name}'{nearest(name, models)}; allowed is a model of RecBole, "
        "such as BPR, LightGCN, NGCF, SGL, NeuMF."
    )


def check_ranges(settings: dict[str, Any]) -> None:
    """Check the settings whose wrong value RecBole answers with a traceback, or not at all.

    Whole numbers that were written as 5.0 become integers in place.

    Raises:
        UsageError: where, what was got, what is allowed.
    """
    for key, spec in declared().items():
        if key in settings and not spec.metadata["computed"]:
            settings[key] = check_value(spec, settings[key])
    scores = epochs_of(settings.get("neg_record_scores"), "neg_record_scores")
    if scores and not settings.get("neg_record"):
        raise UsageError("neg_record_scores: it needs neg_record: True, which records.")


def check_metric_names(metrics: Sequence[Any], kinds: Mapping[str, Any]) -> None:
    """Check that RecBole has these metrics, and that they are of one kind.

    Args:
        metrics: names in any case.
        kinds: name -> kind of every metric of RecBole.

    Raises:
        UsageError: names the allowed ones.
    """
    for metric in metrics:
        if str(metric).lower() not in kinds:
            raise UsageError(
                f"metrics: got {metric!r}{nearest(str(metric), kinds)}; allowed: "
                f"{', '.join(kinds)}."
            )
    if len({kinds[str(metric).lower()] for metric in metrics}) > 1:
        raise UsageError(
            f"metrics: got {metrics}, allowed are metrics of rankings (NDCG, Recall) or of values "
            "(AUC, LogLoss), not both at once."
        )


def check_cuts(cuts: Iterable[Any]) -> None:
    """Check the lengths of the lists that are measured.

    Raises:
        UsageError: one is no whole number from 1.
    """
    for cut in cuts:
        if isinstance(cut, bool) or not isinstance(cut, int) or cut < 1:
            raise UsageError(f"topk: got {cut!r}, allowed are integers >= 1.")


def check_parts(parts: Any) -> None:
    """Check ``benchmark_filename``.

    Raises:
        UsageError: not two or three names.
    """
    if parts is not None and (not isinstance(parts, list) or len(parts) not in (2, 3)):
        raise UsageError(
            f"benchmark_filename: got {parts!r}, allowed are two parts [train, test] or three "
            "[train, valid, test]."
        )


def check_interactions(name: str, folder: Path, parts: Any, how_to_get: str | None) -> list[Path]:
    """The files of a data set's interactions.

    Args:
        name: of the data set.
        folder: its own.
        parts: ``benchmark_filename``.
        how_to_get: a sentence of its property file, without the stop.

    Raises:
        UsageError: one is missing; says how to get it.
    """
    names = [f"{name}.{part}.inter" for part in parts] if parts else [f"{name}.inter"]
    paths = [folder / file for file in names]
    for path in paths:
        if not path.is_file():
            remedy = _own_file(name) or _parts_there(name, folder, parts) or how_to_get
            remedy = remedy or _remedy(name)
            raise UsageError(f"data set '{name}': there is no file {path}; {remedy}.")
    return paths


def _own_file(name: str) -> str | None:
    """The remedy where a file of one's own was meant, which is one or is called so."""
    plain = [Path(name)] if Path(name).suffix else []
    called = [Path(f"{name}{ending}") for ending in (".csv", ".tsv", ".jsonl", ".parquet")]
    found = next((path for path in [*plain, *called] if path.is_file()), None)
    return None if found is None else f"a file of your own is read by --data={found}"


def _parts_there(name: str, folder: Path, parts: Any) -> str | None:
    """The remedy where the files of a fixed split lie there, and the whole was looked for."""
    there = [p for p in ("train", "valid", "test") if (folder / f"{name}.{p}.inter").is_file()]
    if parts or len(there) < 2:
        return None
    return (
        f"{' and '.join(f'{name}.{part}.inter' for part in there)} are there: such a split is read "
        f"by --benchmark_filename='[{','.join(there)}]'"
    )


def _remedy(name: str) -> str:
    known = sorted(file.stem for file in (PROPERTIES / "dataset").glob("*.yaml"))
    return (
        "put RecBole's atomic files there, or say where they are with --data_path=DIR (the "
        f"folder that holds {name}/){nearest(name, known)}; RecBole's own download no longer "
        "works, its storage denies access"
    )


def words_of(value: Any) -> list[str]:
    """``a,b`` or a list of names, in lower case."""
    words = value if isinstance(value, list) else str(value).split(",")
    return [str(word).strip().lower() for word in words]


def check_losses(names: Iterable[str], known: Sequence[str]) -> None:
    """Check ``--losses`` of a comparison.

    Raises:
        UsageError: an unknown one.
    """
    for name in names:
        if name not in known:
            raise unknown("--losses", name, known, elsewhere(name))


def check_samplers(names: Iterable[str], known: Collection[str], losses: Sequence[str]) -> None:
    """Check ``--samplers`` of a comparison: samplers, variants, and rows such as ``dns+ssm``.

    Args:
        names: what was written, in lower case.
        known: samplers and variants.
        losses: what may stand behind the ``+``.

    Raises:
        UsageError: an unknown sampler or loss.
    """
    for name in names:
        sampler, plus, loss = name.partition("+")
        if name not in known and not (plus and sampler in known):
            raise unknown("--samplers", name, known, elsewhere(name))
        if name not in known and loss not in losses:
            raise UsageError(
                f"--samplers: got '{name}', where '{loss}' is no loss{nearest(loss, losses)}; "
                f"allowed behind the + are {', '.join(losses)}."
            )
