"""The tables of a comparison: Markdown, CSV and JSON, with captions and all that a reader needs."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd

from recbole_bns.common.tables import draw, plus_minus, spread
from recbole_bns.runs.records import RunRecord, Settings
from recbole_bns.runs.results import label_of
from recbole_bns.settings.declared import OWN_LOSS

from .statistics import (
    PerUser,
    against_reference,
    different_test_parts,
    means_table,
    metrics_of,
    runs_table,
    settings_that_differ,
    still_improving,
    times_table,
)

T = TypeVar("T")

ABBREVIATED = {"ndcg", "mrr", "map", "auc", "gauc", "mae", "rmse"}


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings of Python's own types; NaN becomes None."""
    return [
        {key: _plain_value(value) for key, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]


def _plain_value(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and math.isnan(value) else value


def title(metric: str) -> str:
    """``ndcg@5`` as ``NDCG@5``."""
    name, at, k = metric.partition("@")
    return (name.upper() if name in ABBREVIATED else name.capitalize()) + at + k


def mean_cell(row: pd.Series) -> str:
    """``**0.1234** ± 0.0010`` of a row of the table of means."""
    mean = f"{row['mean']:.4f}"
    mean = {1: f"**{mean}**", 2: f"<u>{mean}</u>"}.get(int(row["rank"]), mean)
    return spread(mean, row["std"])


def test_cell(row: pd.Series) -> str:
    """``+0.0123 (0.004, 2e-05)`` of a row of the table of tests."""
    text = f"{row['difference']:+.4f}"
    if math.isnan(row["p_t_holm"]):
        return text
    return f"{text} ({_p(row['p_t_holm'])}, {_p(row['p_wilcoxon_holm'])})"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def defined(metrics: Collection[str]) -> str:
    """What those of the papers are, in a sentence."""
    kinds = {name.partition("@")[0] for name in metrics}
    what = {
        "recall": "recall divides by all test items",
        "precision": "precision divides by k",
        "ndcg": "the ideal NDCG counts min(k, test items)",
    }
    said = [text for kind, text in what.items() if kind in kinds]
    return f" Averaged over the users with test items; {', '.join(said)}." if said else ""


@dataclass(frozen=True)
class Origin:
    """Where a comparison comes from: what makes its numbers repeatable.

    Attributes:
        command: that made it.
        model: RecBole's name.
        dataset: its name.
        versions: of what decides a result.
        cores: of the machine; like what follows, of the runs when they were made, and ``2/4``
            where they were not all the same.
        jobs: runs at once.
        threads: of each run.
        device: ``cpu`` or ``cuda``.
        config_files: of the user.
        tuned: row -> file of tuned settings, and those of it that the user's words leave open;
            only where there are files of the user.
    """

    command: str
    model: str
    dataset: str
    versions: Mapping[str, str]
    cores: str
    jobs: str
    threads: str
    device: str
    config_files: Sequence[str] = ()
    tuned: Mapping[str, tuple[str, Settings]] = field(default_factory=dict)


class Report:
    """All tables of a comparison, finished or not.

    Args:
        origin: of the comparison.
        records: of runs, done and failed.
        per_user: of the runs that are done, at least one.
        samplers: the rows in their order: samplers and variants, perhaps with a loss.
        seeds: that every row is to be trained with.
        reference: the row that the others are tested against.
        smaller: metrics of which less is better.
        losses: row -> its loss; a row that is not there has its model's own.
    """

    def __init__(
        self,
        origin: Origin,
        records: Sequence[RunRecord],
        per_user: PerUser,
        samplers: Sequence[str],
        seeds: Sequence[int],
        reference: str,
        smaller: Collection[str] = (),
        losses: Mapping[str, str] | None = None,
    ) -> None:
        self.losses = {row: (losses or {}).get(row, OWN_LOSS) for row in samplers}
        self.origin, self.records, self.samplers = origin, records, samplers
        self.seeds, self.reference = seeds, reference
        self.runs = runs_table(records)
        self.metrics = metrics_of(self.runs)
        self.means = means_table(self.runs, samplers, smaller)
        self.tests = against_reference(self.runs, per_user, samplers, reference)
        self.times = times_table(self.runs, samplers)
        self.split_differs = different_test_parts(per_user)
        self.improving = still_improving(records)
        done = {r["sampler"]: r for r in records if r["status"] == "done"}
        rows = [done[name] for name in samplers if name in done]
        self._results = {record["sampler"]: record["result"] for record in rows}
        self._settings = {record["sampler"]: record["settings"] for record in rows}

    def labels(self) -> dict[str, str]:
        """Row -> what its sampler, loss and mixer are; it says whether any sees test labels."""
        return {row: label_of(result) for row, result in self._results.items()}

    def markdown(self) -> str:
        """Three tables with their captions."""
        origin, n = self.origin, len(self.seeds)
        head = f"{origin.model} on {origin.dataset}, {n} seed{'s' * (n != 1)}"
        parts = [f"# {head}", *self.warnings(), self._means(), self._means_caption()]
        if len(self.tests):
            parts += [self._tests(), self._tests_caption()]
        parts += [self._times(), self._times_caption(), *self._remarks(), self._provenance()]
        return "\n\n".join(parts) + "\n"

    def csv(self) -> str:
        """One row a sampler and metric, after lines that begin with ``#``."""
        table = self.means.merge(self.tests, how="left", on=["sampler", "metric"])
        flat = self.times.copy()
        flat.columns = ["_".join(pair) for pair in flat.columns]
        table = table.merge(flat, how="left", left_on="sampler", right_index=True)
        table.insert(2, "failed", table["sampler"].map(self._failed))
        table.insert(1, "loss", table["sampler"].map(self.losses))
        lead = "".join(f"# {key}: {value}\n" for key, value in self._facts().items())
        return lead + str(table.to_csv(index=False, lineterminator="\n"))

    def json(self) -> str:
        """Everything, unrounded; what is not known is null."""
        content = {
            **self._facts(),
            "versions": dict(self.origin.versions),
            "seeds": list(self.seeds),
            "reference": self.reference,
            "losses": self.losses,
            "parameters": {k: v["neg_sampler_args"] for k, v in self._results.items()},
            "loss_parameters": {k: v.get("loss_args", {}) for k, v in self._results.items()},
            "settings": settings_that_differ(self._settings),
            "metrics": plain(self.means),
            "tests": plain(self.tests),
            "runs": plain(self.runs),
            "still_improving": self.improving,
            "failed": [
                {"sampler": record["sampler"], "seed": record["seed"], "error": record["error"]}
                for record in self.records
                if record["status"] == "failed"
            ],
        }
        return json.dumps(content, indent=2) + "\n"

    def _facts(self) -> dict[str, Any]:
        origin = self.origin
        return {
            "command": origin.command,
            "model": origin.model,
            "dataset": origin.dataset,
            "versions": ", ".join(f"{k} {v}" for k, v in origin.versions.items()),
            "cores": origin.cores,
            "runs at once": origin.jobs,
            "threads a run": origin.threads,
            "device": origin.device,
        }

    def _failed(self, sampler: str) -> int:
        return sum(r["sampler"] == sampler and r["status"] == "failed" for r in self.records)

    @property
    def _several(self) -> bool:
        """Whether the losses of the rows differ."""
        return len(set(self.losses.values())) > 1

    @property
    def _row(self) -> str:
        """What a row is called in captions."""
        return "sampler" if set(self.losses.values()) == {OWN_LOSS} else "row"

    @property
    def _heads(self) -> list[str]:
        return ["sampler", "loss"] if self._several else [self._row]

    def _names(self, row: str) -> list[str]:
        """The first cells of a row: its name, and where losses differ, its sampler and its loss."""
        loss, result = self.losses[row], self._results.get(row)
        shown = row.removesuffix(f"+{loss}") if self._several else row
        if result is not None:
            label = label_of(result, with_loss=not self._several)
            shown = label if label.startswith(shown) else f"{shown} ({label})"
        return [shown, loss] if self._several else [shown]

    def state(self, sampler: str) -> str:
        """``5``, or ``3 of 5, 2 failed``."""
        done, failed = int((self.runs["sampler"] == sampler).sum()), self._failed(sampler)
        text = str(done) if done == len(self.seeds) else f"{done} of {len(self.seeds)}"
        return f"{text}, {failed} failed" if failed else text

    def warnings(self) -> list[str]:
        """What a reader must know before the numbers: unfinished trainings, settings of ours."""
        parts = []
        if self.improving:
            done = self.runs["sampler"].value_counts()
            rows = [f"`{n}` ({len(s)} of {done[n]} runs)" for n, s in self._ordered(self.improving)]
            parts.append(
                "WARNING: still improving when training ended, with the best validation at the "
                f"last epoch: {', '.join(rows)}. With more epochs (--epochs=N) their values, and "
                "the order of the rows, may be others."
            )
        if self.origin.tuned:
            files = ", ".join(f"`{path}`" for path in self.origin.config_files)
            lines = [
                f"- `{row}`: {', '.join(f'{key} {value}' for key, value in added.items())} ({path})"
                for row, (path, added) in self._ordered(self.origin.tuned)
            ]
            parts.append(
                f"Tuned settings added to those of {files}, which leave them open; --tuned=False "
                "leaves them out:\n\n" + "\n".join(lines)
            )
        return parts

    def _ordered(self, rows: Mapping[str, T]) -> list[tuple[str, T]]:
        """Entries by row, in the order of the table."""
        return [(name, rows[name]) for name in self.samplers if name in rows]

    def _means(self) -> str:
        cells = self.means.set_index(["sampler", "metric"])
        rows = []
        for sampler in self.samplers:
            if sampler in self._results:
                values = [mean_cell(cells.loc[(sampler, name)]) for name in self.metrics]
                rows.append([*self._names(sampler), self.state(sampler), *values])
            else:
                blank = "failed" if self._failed(sampler) else "not run"
                empty = [blank] * len(self.metrics)
                rows.append([*self._names(sampler), self.state(sampler), *empty])
        return draw(rows, [*self._heads, "runs", *map(title, self.metrics)])

    def _means_caption(self) -> str:
        unfinished = any(self.state(name) != str(len(self.seeds)) for name in self.samplers)
        over = f"over seeds {', '.join(map(str, self.seeds))}"
        of = f"mean ± standard deviation {over}" if len(self.seeds) > 1 else f"seed {self.seeds[0]}"
        return (
            f"Test metrics, {of}; **best**, <u>second best</u>."
            + defined(self.metrics)
            + " Not all runs are finished: means are over those that are." * unfinished
        )

    def _tests(self) -> str:
        cells = self.tests.set_index(["sampler", "metric"])
        names = [name for name in self.samplers if (name, self.metrics[0]) in cells.index]
        rows = [
            [*self._names(name), *(test_cell(cells.loc[(name, metric)]) for metric in self.metrics)]
            for name in names
        ]
        return draw(rows, [*self._heads, *map(title, self.metrics)])

    def _tests_caption(self) -> str:
        row = self._row
        return (
            f"Difference to `{self.reference}`, in brackets the p-values of a paired t-test and of "
            "Wilcoxon's signed-rank test over users: each user's metric is averaged over the seeds "
            f"that both {row}s have finished, then paired by user; two-sided, Holm-corrected over "
            f"the {self.tests['sampler'].nunique()} {row}(s) compared with `{self.reference}`, "
            "for each metric by itself. The seed also draws the split where the data set is "
            f"split at random; {row}s with the same seed share it."
        )

    def _times(self) -> str:
        rows = []
        for name, row in self.times.iterrows():
            cells = (
                plus_minus(row[key], digits)
                for key, digits in (
                    ("train_seconds", 1),
                    ("seconds_to_best", 1),
                    ("best_epoch", 0),
                    ("epochs", 0),
                )
            )
            rows.append([*self._names(str(name)), *cells])
        return draw(
            rows, [*self._heads, "training, s", "to the best epoch, s", "best epoch", "epochs"]
        )

    def _times_caption(self) -> str:
        origin = self.origin
        validated = all(r["best_valid_result"] is not None for r in self._results.values())
        chosen = (
            "the best epoch is chosen on the validation part alone"
            if validated
            else "without a validation part the weights of the last epoch are tested"
        )
        return (
            "Seconds of training without evaluation, mean ± standard deviation over seeds, with "
            f"{origin.jobs} run(s) at once, {origin.threads} thread(s) each, on {origin.device} "
            f"({origin.cores} cores); {chosen}."
        )

    def _remarks(self) -> list[str]:
        """What a reader must know: parameters, failed runs, test parts that differ."""
        differing = settings_that_differ(self._settings)
        lines = [
            f"- `{name}`: " + (", ".join(f"{k} {v}" for k, v in words.items()) or "no parameters")
            for name in self.samplers
            if name in self._results
            for words in [self._parameters(name) | differing[name]]
        ]
        parts = ["Parameters, and settings in which the rows differ:\n\n" + "\n".join(lines)]
        failed = [
            f"- `{record['sampler']}`, seed {record['seed']}: {record['error']}"
            for record in self.records
            if record["status"] == "failed"
        ]
        if failed:
            parts.append("Failed:\n\n" + "\n".join(failed))
        return parts + self.of_the_split()

    def of_the_split(self) -> list[str]:
        """A warning where rows cannot be compared."""
        if not self.split_differs:
            return []
        seeds = ", ".join(map(str, self.split_differs))
        return [f"WARNING: under seed(s) {seeds} the {self._row}s had different test users."]

    def _parameters(self, row: str) -> dict[str, Any]:
        """Those of a row's sampler and, as ``ssm.temperature``, of its loss and its mixer."""
        result, loss = self._results[row], self.losses[row]
        of_loss = {f"{loss}.{key}": value for key, value in result.get("loss_args", {}).items()}
        args, mixer = result.get("mixer_args", {}), result.get("mixer")
        of_mixer = {f"{mixer}.{key}": value for key, value in args.items()}
        return result["neg_sampler_args"] | of_loss | of_mixer

    def _provenance(self) -> str:
        facts = self._facts()
        return f"Made by `{facts['command']}` with {facts['versions']}; {facts['cores']} cores."
