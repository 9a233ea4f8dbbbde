"""What a test counts for groups of items, against slow loops and against RecBole's own metrics."""

from __future__ import annotations

import csv
import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import build_model, prepare

from recbole_bns.adapters.split import catalogue_of
from recbole_bns.adapters.tested_groups import TestedGroups as Groups
from recbole_bns.adapters.tested_groups import TestedItems as Items
from recbole_bns.cli import main
from recbole_bns.runs.groups import ITEMS
from recbole_bns.runs.results import load
from recbole_bns.training import train as training
from recbole_bns.training.trainer import get_trainer

CUTS = [5, 2]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def batch(seed: int) -> tuple[np.ndarray, Batch]:
    """Groups of 12 items, the first padding; scores and test items of 6 users, with doubles."""
    source = np.random.default_rng(seed)
    group = np.r_[-1, source.integers(0, 3, 11)]
    scores = torch.from_numpy(source.normal(size=(6, 12)))
    scores[:, 0] = -torch.inf
    scores[0, 4:] = -torch.inf  # ranks three items alone
    pairs = [(user, int(item)) for user in range(6) for item in source.integers(1, 4, 2 + user % 3)]
    pairs += [(user, int(item)) for user in range(1, 6) for item in source.integers(4, 12, 3)]
    users, items = torch.tensor(pairs).T
    return group, (scores, users, items)


def slow(group: np.ndarray, seen: Batch, k: int) -> dict[str, list[float]]:
    """recall, NDCG and share of each group, user by user and place by place."""
    scores, users, items = seen
    recall, ndcg, places = [[], [], []], [[], [], []], [0, 0, 0]
    for user, row in enumerate(scores.tolist()):
        wanted = {int(i) for u, i in zip(users.tolist(), items.tolist(), strict=True) if u == user}
        order = sorted(range(12), key=lambda item: -row[item])
        best = [item for item in order if row[item] > -math.inf][:k]
        for item in best:
            places[group[item]] += 1
        for number in range(3):
            mine = {item for item in wanted if group[item] == number}
            if mine:
                gains = [1 / math.log2(r + 2) for r, item in enumerate(best) if item in mine]
                ideal = [1 / math.log2(r + 2) for r in range(min(k, len(mine)))]
                recall[number].append(len(gains) / len(mine))
                ndcg[number].append(sum(gains) / sum(ideal))
    means = [[sum(each) / len(each) for each in metric] for metric in (recall, ndcg)]
    share = [count / sum(places) for count in places]
    return {f"recall@{k}": means[0], f"ndcg@{k}": means[1], f"share@{k}": share}


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_measured_as_a_slow_loop_does(seed: int) -> None:
    group, seen = batch(seed)
    items = Items(group, CUTS)
    items.see(*seen)
    found = items.metrics()
    assert list(found) == [f"{name}@{k}" for name in ("recall", "ndcg", "share") for k in (2, 5)]
    for k in CUTS:
        for name, values in slow(group, seen, k).items():
            assert found[name].value.tolist() == pytest.approx(values, abs=1e-12), name
    assert found["share@2"].users.tolist() == [6, 6, 6]


def test_batches_and_processes_add_up() -> None:
    group, (scores, users, items) = batch(1)
    whole = Items(group, CUTS)
    whole.see(scores, users, items)
    first, second = Items(group, CUTS), Items(group, CUTS)
    early = users < 2
    first.see(scores[:2], users[early], items[early])
    second.see(scores[2:], users[~early] - 2, items[~early])
    team = SimpleNamespace(collect=lambda mine: [mine, vars(second)])
    first.gather(team)  # type: ignore[arg-type]
    for name, (counted, values) in whole.metrics().items():
        assert first.metrics()[name].users.tolist() == counted.tolist()
        assert first.metrics()[name].value.tolist() == pytest.approx(values.tolist(), abs=1e-12)


def test_nothing_seen_is_nothing_measured() -> None:
    assert Items(np.array([-1, 0, 1]), [1]).metrics() == {}


@pytest.mark.parametrize("mode", ["full", "uni20"])
def test_one_group_of_all_items_has_the_metrics_of_recbole(
    make: Callable[..., Any], mode: str
) -> None:
    own = {"metrics": ["Recall", "NDCG"], "topk": [3, 10], "eval_args": {"mode": mode}}
    config = make("BPR", neg_sampler="rns", **own)
    train, _, test = prepare(config)
    model = build_model(config, train)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    before = trainer.evaluate(test, load_best_model=False)
    groups = training.tested_groups(train, config["topk"])
    groups.items = Items(np.r_[-1, np.zeros(len(groups._popularity) - 1, int)], config["topk"])
    with groups.watching(trainer):
        result = trainer.evaluate(test, load_best_model=False)
    assert result == before
    assert trainer.evaluate(test, load_best_model=False) == before
    found = groups.items.metrics()
    for name, value in before.items():
        assert found[name].value[0] == pytest.approx(float(value), abs=1e-12)
    assert found["share@10"].value.tolist() == [1, 0, 0]


def test_a_run_leaves_metrics_of_groups_that_make_up_the_whole(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    own = {**settings, "epochs": 1, "neg_sampler": "dns", "out": tmp_path / "run"}
    words = ["run", "--model=BPR", "--dataset=tiny", *(f"--{k}={v}" for k, v in own.items())]
    assert main(words) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    with (tmp_path / "run" / "commands.csv").open(encoding="utf-8", newline="") as file:
        assert [line["command"] for line in csv.DictReader(file)] == [
            shlex.join(["recbole-bns", *words])
        ]
    with (tmp_path / "run" / "groups.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    users = [line for line in lines if line["kind"] == "users"]
    assert {line["metric"] for line in users} == set(result["test_result"])
    for metric, value in result["test_result"].items():
        of = [line for line in users if line["metric"] == metric]
        total = sum(int(line["users"]) * float(line["value"]) for line in of)
        assert total / sum(int(line["users"]) for line in of) == pytest.approx(value)
    items = [line for line in lines if line["metric"] == "share@20"]
    assert [line["group"] for line in items] == list(ITEMS)
    assert sum(int(line["members"]) for line in items) == 60
    assert sum(float(line["value"]) for line in items) == pytest.approx(1)
    kept = load(tmp_path / "run" / "users.npz")
    assert kept["ndcg@20"].mean() == pytest.approx(result["test_result"]["ndcg@20"])


def test_a_test_of_single_scores_has_no_lists(make: Callable[..., Any]) -> None:
    train, _, test = prepare(make("BPR", neg_sampler="rns"))
    groups = Groups(catalogue_of(train._dataset), [5])
    collected: list[int] = []

    class Collector:
        def eval_batch_collect(self, scores: torch.Tensor, *_: Any) -> None:
            collected.append(len(scores))

    trainer = SimpleNamespace(eval_collector=Collector())
    with groups.watching(trainer):
        trainer.eval_collector.eval_batch_collect(torch.zeros(4), None, None, None)
    assert collected == [4]
    assert groups.lines(test, {}) == []
