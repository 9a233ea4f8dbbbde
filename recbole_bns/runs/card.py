"""``README.md`` in a run's folder, the model's card: what it is, how good it is, how to use it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from recbole_bns.common.files import write_text

from .folder import SETTINGS
from .records import RunResult, Settings
from .results import with_loss

CARD = "README.md"

TEMPLATE = """\
# {model} on {dataset}

A recommender that `recbole-bns {version}` trained with negatives by **{sampler}**.

## Data

{data}

{rows}

## Training

{training}

## Results

{results}

{deviations}

## Use

{use}

`recbole-bns run --config_files={settings}` trains it anew. The weights alone are no model: the
numbers of users and items follow from the data set's files, which have to be there, or are named by
`data_path`.

## Versions

{versions}
"""


class Facts(NamedTuple):
    """What a card says that is in no other file of the run."""

    users: int
    items: int
    rows: Mapping[str, int]
    """Phase -> interactions that it is made of."""
    lists: bool
    """Whether a row is an item and the list of what came before it."""
    example: tuple[str, str]
    """The id of a user, and of an item."""
    served: bool
    """Whether the model scores by a user or a list of items, and so can be asked."""
    vectors: bool
    """Whether it has vectors of users and items."""
    values: Mapping[str, NDArray[np.float64]]
    """``recall@5`` -> values (N,) of the users, in the test."""

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Any],
        values: Mapping[str, NDArray[np.float64]],
        *,
        served: bool,
        vectors: bool,
    ) -> Facts:
        """Of a data set's parts, RecBole's, and the values of the last evaluation."""
        train = parts["train"]
        names = [train.field2id_token[name] for name in (train.uid_field, train.iid_field)]
        return cls(
            len(names[0]) - 1,
            len(names[1]) - 1,
            {phase: len(part) for phase, part in parts.items()},
            hasattr(train, "item_id_list_field"),
            (str(names[0][1]), str(names[1][1])),
            served,
            vectors,
            values,
        )


def write_card(result: RunResult, settings: Settings, facts: Facts, folder: Path) -> None:
    """Write the card, whole or not at all.

    Args:
        result: of the run.
        settings: of the run.
        facts: of its data and its test.
        folder: of the run.
    """
    write_text(folder / CARD, card_of(result, settings, facts))


def card_of(result: RunResult, settings: Settings, facts: Facts) -> str:
    """The text of the card: Markdown."""
    several = "a row of the test" if facts.lists else "a user"
    return TEMPLATE.format(
        model=result["model"],
        dataset=result["dataset"],
        version=result["versions"]["recbole-bns"],
        sampler=with_loss(result["neg_sampler_label"], result.get("loss"), result.get("mixer")),
        data=_list(_data(result, settings, facts)),
        rows=_rows(facts),
        training=_list(_training(result, settings)),
        results=_results(result, facts),
        deviations=(
            f"Standard deviations and standard errors are of the test's values of {several}, in "
            "this one run. How much a training differs from seed to seed one run cannot know: "
            "`recbole-bns compare --seeds=1,2,3` shows it."
        ),
        use=_use(result["run_dir"], facts),
        settings=shlex.quote(f"{result['run_dir']}/{SETTINGS}"),
        versions=_list({name: f"`{version}`" for name, version in result["versions"].items()}),
    )


def _list(entries: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in entries.items())


def _data(result: RunResult, settings: Settings, facts: Facts) -> dict[str, str]:
    asked = {name: settings.get(name) for name in ("split", "train_on")}
    evaluated = dict(settings.get("eval_args") or {})
    if asked["split"] not in (None, "none"):  # what RecBole was told in its place says nothing
        evaluated = {name: evaluated[name] for name in ("mode",) if name in evaluated}
    future = {"what it could know": result["split"]["sentence"]} if "split" in result else {}
    return {
        "users": f"{facts.users:,}",
        "items": f"{facts.items:,}",
        "interactions": f"{sum(facts.rows.values()):,}"
        + (", each an item and the list of what came before it" if facts.lists else ""),
        **{name: f"`{value}`" for name, value in asked.items() if value is not None},
        **future,
        "evaluation": _code(evaluated),
    }


def _rows(facts: Facts) -> str:
    every = max(sum(facts.rows.values()), 1)
    rows = [(phase, f"{n:,}", f"{n / every:.1%}") for phase, n in facts.rows.items()]
    return _table(rows, ("part", "interactions", "share"))


def _training(result: RunResult, settings: Settings) -> dict[str, str]:
    seconds = result["train_epoch_seconds"]
    said = {
        "model": f"`{result['model']}`",
        "negatives": f"`{result['neg_sampler']}`, {result['neg_sample_num']} a positive"
        + _parameters(result["neg_sampler_args"]),
        "loss": _beside(result, "loss") or "the model's own",
        "mixer": _beside(result, "mixer"),
        "learning rate": f"{settings.get('learning_rate')}",
        "batch": f"{settings.get('train_batch_size')}",
        "epochs": f"{result['epochs']}, tested with the weights of epoch {result['best_epoch']} "
        f"(by {result['valid_metric']})",
        "time": f"{_duration(sum(seconds))} in epochs, without evaluation",
        "seed": f"{result['seed']}",
        "processes": f"{result['nproc']}" if "nproc" in result else "",
        "tuned settings": f"`{result['tuned_file']}`" if result["tuned_file"] else "",
    }
    return {name: value for name, value in said.items() if value}


def _beside(result: Mapping[str, Any], kind: str) -> str:
    """A loss or a mixer with its parameters; nothing where there is none."""
    name, values = result.get(kind), dict(result.get(f"{kind}_args") or {})
    for key, value in (result.get(f"{kind}_decided") or {}).items():
        values[key] = f"{values[key]} ({value:.3g})"
    return f"`{name}`{_parameters(values)}" if name else ""


def _parameters(values: Settings) -> str:
    return f" with {_code(values)}" if values else ""


def _results(result: RunResult, facts: Facts) -> str:
    valid, test = result["best_valid_result"] or {}, result["test_result"]
    rows = []
    for name, value in test.items():
        each = facts.values.get(name)
        spread = () if each is None or len(each) < 2 else (each.std(ddof=1), _error(each))
        rows.append((name, *map(_four, (valid.get(name), value, *spread))))
    heads = ("metric", "valid", "test", "standard deviation", "standard error")
    return _table([(*row, *[""] * (len(heads) - len(row))) for row in rows], heads)


def _use(folder: str, facts: Facts) -> str:
    """How it is loaded and asked, in Python and at the command line."""
    if not facts.served:
        return (
            "It scores by features of each interaction, so that `recbole_bns.load` and `predict`, "
            "which know ids alone, do not serve it; its weights lie in `checkpoints/`."
        )
    user, item = (json.dumps(each, ensure_ascii=False) for each in facts.example)
    python = [
        "import recbole_bns",
        "",
        f"model = recbole_bns.load({json.dumps(folder, ensure_ascii=False)})",
        f"model.recommend([{user}], k=10)",
    ]
    path = shlex.quote(folder)
    shell = [f"recbole-bns predict --checkpoint={path} --users={shlex.quote(facts.example[0])}"]
    if facts.vectors:
        python += [f"model.similar_items([{item}], k=10)", f"model.recommend_for_history([{item}])"]
        shell.append(f"recbole-bns export --checkpoint={path} --format=safetensors")
    return "\n".join(["```python", *python, "```", "", "```", *shell, "```"])


def _error(each: NDArray[np.float64]) -> float:
    return float(each.std(ddof=1) / np.sqrt(len(each)))


def _four(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    align = ("left", *["right"] * (len(heads) - 1))
    return str(tabulate(rows, heads, tablefmt="github", colalign=align, disable_numparse=True))
