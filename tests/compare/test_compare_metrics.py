"""Metrics of every user against their definitions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tiny import build_model, prepare

from recbole_bns import get_trainer
from recbole_bns.adapters.evaluation import PerUserEvaluator, users_of


@pytest.mark.parametrize("mode", ["full", "uni20"])
def test_metrics_of_every_user_are_those_of_the_papers(make, mode):
    """Recall, precision and NDCG by their definitions, from scores, with loops and sets."""
    config = make(
        metrics=["Recall", "Precision", "NDCG"],
        topk=[1, 3, 10],
        valid_metric="NDCG@10",
        eval_args={"mode": mode},
    )
    train, _, test = prepare(config)
    model = build_model(config, train)
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
    trainer.eval_collector.data_collect(train)
    trainer.evaluator = PerUserEvaluator(config)
    if mode == "uni20":
        lists = listed_items(test)
    reported = trainer.evaluate(test, load_best_model=False)
    users, values = users_of(test), trainer.evaluator.values
    assert {len(column) for column in values.values()} == {len(users)}
    for name, mean in reported.items():
        assert values[name].mean() == pytest.approx(mean, abs=1e-12)

    dataset = test._dataset
    feat = dataset.inter_feat
    scores = (model.user_embedding.weight @ model.item_embedding.weight.T).detach()
    for row, token in enumerate(users):
        user = dataset.token2id(dataset.uid_field, token)
        wanted = set(feat["item_id"][feat["user_id"] == user].tolist())
        if mode == "full":
            seen = set(test._sampler.used_ids[user]) - wanted
            allowed = [item for item in range(1, dataset.item_num) if item not in seen]
        else:
            allowed = lists[user]
        ranked = sorted(allowed, key=lambda item: -scores[user, item].item())
        for k in config["topk"]:
            for name, value in brute_force(ranked, wanted, k).items():
                assert values[f"{name}@{k}"][row] == pytest.approx(value, abs=1e-12), (token, name)


def listed_items(loader: Any) -> dict[int, list[int]]:
    """User -> positives and evaluation negatives, of a loader that repeats itself."""
    lists: dict[int, set[int]] = {}
    for interaction, *_ in loader:
        for user, item in zip(
            interaction["user_id"].tolist(), interaction["item_id"].tolist(), strict=True
        ):
            lists.setdefault(user, set()).add(item)
    return {user: sorted(items) for user, items in lists.items()}


def brute_force(ranked: list[int], wanted: set[int], k: int) -> dict[str, float]:
    hits = [rank for rank, item in enumerate(ranked[:k], 1) if item in wanted]
    gain = sum(1 / math.log2(rank + 1) for rank in hits)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return {"recall": len(hits) / len(wanted), "precision": len(hits) / k, "ndcg": gain / ideal}
