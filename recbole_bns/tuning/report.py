"""What a sweep comes to: the table of its trials, the effects, the winner trained and tested."""

from __future__ import annotations

import csv
import io
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import stats

from recbole_bns.adapters.loss_settings import loss_name
from recbole_bns.adapters.mixer_settings import mixer_name
from recbole_bns.common.files import write_text
from recbole_bns.common.tables import draw
from recbole_bns.common.terminal import WIDEST, headed, in_blocks, width_of, wrapped
from recbole_bns.runs.folder import settings_of
from recbole_bns.runs.records import RunConfig, RunResult
from recbole_bns.runs.results import read_result, result_table, with_loss
from recbole_bns.settings.properties import mined_word
from recbole_bns.settings.words import short_names
from recbole_bns.training.run import run_recbole_bns

from .plan import Plan
from .records import FAILED, OWN, RUNNING, Record, best_of
from .space import LISTS, Dimension


def effects(plan: Plan, trials: Sequence[Record]) -> list[str]:
    """How the metric goes with each hyper-parameter, the others left as they were drawn."""
    good = [r for r in trials if r.status != FAILED and r.best(plan.metric, plan.bigger)]
    if len(good) < 3:
        return []
    y = np.array([(r.best(plan.metric, plan.bigger) or (0.0, 0))[0] for r in good])
    rows = [_effect(key, dimension, good, y) for key, dimension in plan.space.items()]
    rows.sort(key=lambda row: -float(row[1] or -1))
    heads = ["hyper-parameter", "share of variance", "rank correlation"]
    return [
        "## Effects",
        draw(rows, [*heads, f"mean {plan.metric} (trials)"]),
        f"Over the {len(good)} trials with a result: the share of the variance of {plan.metric} "
        "that the groups in the last column explain, adjusted for their number (ranges are cut "
        "into thirds of the trials; empty where there are too few trials), "
        "Spearman's correlation, and the mean in each group. The other hyper-parameters differ "
        "within a group, so that few trials show large effects only.",
    ]


def _effect(
    key: str, dimension: Dimension, trials: Sequence[Record], y: NDArray[np.float64]
) -> list[str]:
    """A line of the table of effects.

    Args:
        key: of the hyper-parameter.
        dimension: what it was drawn from.
        trials: n of them, with a result.
        y: (n,) the best value of each.
    """
    drawn = [value_of(record, key) for record in trials]
    groups = _groups(drawn, discrete=dimension.kind in LISTS)
    means = (f"{label}: {y[rows].mean():.4f} ({len(rows)})" for label, rows in groups)
    share = explained(y, [rows for _, rows in groups])
    text = "" if share is None else f"{share:.2f}"
    return [f"`{key}`", text, _rank_correlation(drawn, y), "; ".join(means)]


def explained(y: Any, groups: Sequence[Sequence[int]]) -> float | None:
    """Share of the variance of y (n,) between groups of its rows: adjusted R², at least 0.

    None where there are no more rows than groups, or y is constant.
    """
    n, k = len(y), len(groups)
    total = ((y - y.mean()) ** 2).sum()
    if n <= k or total == 0:
        return None
    within = sum(((y[list(rows)] - y[list(rows)].mean()) ** 2).sum() for rows in groups)
    return max(0.0, float(1 - (within / (n - k)) / (total / (n - 1))))


def _groups(drawn: Sequence[Any], *, discrete: bool) -> list[tuple[str, list[int]]]:
    """Rows of each value, or of each third of the trials in order of the value."""
    if discrete:
        values = sorted(set(map(cell, drawn)), key=lambda word: (_as_number(word), word))
        return [(v, [i for i, d in enumerate(drawn) if cell(d) == v]) for v in values]
    order = np.argsort(np.array(drawn, dtype=float), kind="stable")
    thirds = [part.tolist() for part in np.array_split(order, 3) if len(part)]
    return [(f"{cell(drawn[p[0]])} to {cell(drawn[p[-1]])}", p) for p in thirds]


def _rank_correlation(drawn: Sequence[Any], y: Any) -> str:
    try:
        x = np.array(drawn, dtype=float)
    except (TypeError, ValueError):
        return ""
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return ""
    return f"{stats.spearmanr(x, y).statistic:+.2f}"


def _as_number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("inf")


def cell(value: Any) -> str:
    """A drawn value as it is shown."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def value_of(record: Record, key: str) -> Any:
    """What was drawn for a dotted key."""
    head, dot, name = key.partition(".")
    inner = record.found.get(head)
    return inner.get(name) if dot and isinstance(inner, Mapping) else inner


def drawn_words(plan: Plan, record: Record) -> str:
    """What was drawn for a trial, by short names: ``learning_rate 0.01, candidate_num 5``."""
    names = zip(short_names(plan.space), plan.space, strict=True)
    return ", ".join(f"{name} {cell(value_of(record, key))}" for name, key in names)


SHOWN = 15
"""Best trials in the Markdown table; trials.csv has all."""


def conclude(plan: Plan, found: Mapping[str, Record], *, stopped: bool) -> int:
    """Write ``trials.csv``; where the sweep is over, test the winner and write ``tune.md``.

    Returns:
        exit status: 0, 1 where no trial got to a result, 130 where the sweep was interrupted.
    """
    out = plan.out
    write_text(out / "trials.csv", trials_csv(plan, found))
    ended = sum(record.status != RUNNING for record in found.values())
    state = f"{ended} of {plan.trials} trials have ended; they are in {out / 'trials.csv'}"
    if stopped:
        print(f"recbole-bns: stopped; {state}; go on with --resume --out={out}.", file=sys.stderr)
        return 130
    best = best_of(found, plan.metric, plan.bigger)
    if best is None:
        errors = [record.error for record in found.values() if record.error]
        why = f"the first failure: {errors[0]}" if errors else "none was evaluated"
        print(f"recbole-bns: no trial got to a result; {why}; {state}.", file=sys.stderr)
        return 1
    write_text(out / "best.yaml", best_yaml(plan, best))
    result = retrain(plan)
    text = markdown(plan, found, best, result)
    write_text(out / "tune.md", text)
    if sys.stdout.isatty():
        print(screen(plan, found, best, result, min(width_of(sys.stdout), WIDEST)))
        print(f"\nsettings of the winner: {out / 'best.yaml'}\nall tables: {out / 'tune.md'}")
        return 0
    print(text)
    files = ", ".join(str(out / name) for name in ("tune.md", "trials.csv", "best.yaml", "winner"))
    print(f"written: {files}")
    return 0


def screen(
    plan: Plan, found: Mapping[str, Record], best: Record, result: RunResult, width: int
) -> str:
    """What a terminal shows: the best trials with what was drawn for them, and the winner's test.

    Args:
        plan: of the sweep.
        found: all trials by number.
        best: the winner among them.
        result: of its test.
        width: of the lines.
    """
    value, epoch = best.best(plan.metric, plan.bigger) or (float("nan"), 0)
    title = f"{plan.recipe.model} on {plan.recipe.dataset}: the best of {len(found)} trials"
    heads, rows = _cells(plan, ranked(plan, found)[:SHOWN])
    winner = (
        f"The winner, trial {best.trial}, {plan.metric} {value:.4f} in validation in epoch "
        f"{epoch}: {drawn_words(plan, best)}"
    )
    parts = [wrapped(title, width), in_blocks(rows, heads, width), wrapped(winner, width)]
    test = headed(result_table(result), width)  # paths stay whole, to be copied
    return "\n\n".join(["\n".join(part) for part in parts] + [test])


def retrain(plan: Plan) -> RunResult:
    """Train with ``best.yaml`` and test once; what an earlier command has done is read.

    Returns:
        the content of ``winner/result.json``.
    """
    folder, settings = plan.out / "winner", plan.out / "best.yaml"
    used, words = folder / "best.yaml", settings.read_text(encoding="utf-8")
    done = read_result(folder)
    if done is not None and used.is_file() and used.read_text(encoding="utf-8") == words:
        return done
    number = 1
    while folder.exists():  # of another winner; nothing that was computed is lost
        number += 1
        folder = plan.out / f"winner-{number}"
    result = run_recbole_bns(
        plan.recipe.model,
        plan.recipe.dataset,
        [str(settings)],
        {"show_progress": plan.shown},
        out=folder,
    )
    write_text(folder / "best.yaml", words)
    return result


def _words_of(config: RunConfig) -> str:
    """What a trial is trained with, in words."""
    chosen = config["neg_sampler"], loss_name(config), mixer_name(config)
    return with_loss(*chosen, mined=mined_word(config["mine"]))


def best_yaml(plan: Plan, best: Record) -> str:
    """Every setting of the best trial, for ``--config_files``; what was searched comes first."""
    config = plan.recipe.config(best.found)
    values = {k: v for k, v in settings_of(config).items() if k != "show_progress"}
    value, epoch = best.best(plan.metric, plan.bigger) or (float("nan"), 0)
    names = {key.partition(".")[0] for key in plan.space}
    searched = {key: values.pop(key) for key in sorted(names & set(values))}
    of = _words_of(config)
    head = (
        f"# Trial {best.trial} of `{plan.command}`, with {of}:\n"
        f"# validation {plan.metric} {value:.4f} in epoch {epoch}. What was searched:\n"
    )
    lead = {"model": plan.recipe.model, "dataset": plan.recipe.dataset}
    rest = {k: v for k, v in values.items() if k not in lead}
    first = yaml.safe_dump(searched, sort_keys=True)
    others = yaml.safe_dump(lead | rest, sort_keys=False)
    return f"{head}{first}# All other settings:\n{others}"


def ranked(plan: Plan, found: Mapping[str, Record]) -> list[Record]:
    """Best first, then those without a result in the order in which they began."""
    sign = -1 if plan.bigger else 1

    def place(record: Record) -> float:
        best = None if record.status == FAILED else record.best(plan.metric, plan.bigger)
        return sign * best[0] if best else float("inf")

    return sorted(found.values(), key=place)


def trials_csv(plan: Plan, found: Mapping[str, Record]) -> str:
    """A line a trial, best first: hyper-parameters, epochs, status, metrics of its best epoch."""
    reports = [report for record in found.values() for report in record.reports.values()]
    metrics = sorted({name for report in reports for name in report} - set(OWN))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ["status", "epochs", "best_epoch", *metrics, "train_seconds", "node", "error"]
    writer.writerow(["trial", *plan.space, *heads])
    for record in ranked(plan, found):
        best = record.best(plan.metric, plan.bigger)
        report = record.reports[best[1]] if best else {}
        writer.writerow(
            [
                record.trial,
                *(value_of(record, key) for key in plan.space),
                record.status,
                record.epochs,
                best[1] if best else "",
                *(report.get(name, "") for name in metrics),
                round(record.seconds, 3),
                record.node,
                record.error,
            ]
        )
    return text.getvalue()


def markdown(plan: Plan, found: Mapping[str, Record], best: Record, result: RunResult) -> str:
    """The table of trials, the effects, the winner's test and the command that repeats it."""
    config = plan.recipe.config(best.found)
    of = _words_of(config)
    value, epoch = best.best(plan.metric, plan.bigger) or (float("nan"), 0)
    statuses = [record.status for record in found.values()]
    counts = ", ".join(f"{statuses.count(each)} {each}" for each in dict.fromkeys(statuses))
    repeat = shlex.join(["recbole-bns", "run", "--config_files", str(plan.out / "best.yaml")])
    parts = [
        f"# {plan.recipe.model} on {plan.recipe.dataset} with {of}: {len(found)} trials",
        _trials_table(plan, ranked(plan, found)[:SHOWN]),
        f"Validation values of each trial's best epoch, best first ({counts}). Trials that ASHA "
        "stopped early had fewer epochs to reach theirs.",
        "What is searched:\n\n" + "\n".join(f"- `{k}`: {d.text}" for k, d in plan.space.items()),
        *effects(plan, list(found.values())),
        f"## The winner, tested once\n\nTrial {best.trial}, validation {plan.metric} {value:.4f} "
        f"in epoch {epoch}, trained again and tested on data that no trial saw:",
        result_table(result),
        f"Repeat it: `{repeat}`\n\nMade by `{plan.command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _trials_table(plan: Plan, trials: Sequence[Record]) -> str:
    heads, rows = _cells(plan, trials)
    return draw(rows, heads)


def _cells(plan: Plan, trials: Sequence[Record]) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows of the table of trials."""
    rows: list[list[Any]] = []
    for record in trials:
        best = record.best(plan.metric, plan.bigger)
        values = (cell(value_of(record, key)) for key in plan.space)
        reached = (f"{best[0]:.4f}", best[1]) if best else ("", "")
        rows.append([record.trial, *values, *reached, record.epochs, record.status])
    heads = [*short_names(plan.space), plan.metric, "best epoch", "epochs", "status"]
    return ["trial", *heads], rows
