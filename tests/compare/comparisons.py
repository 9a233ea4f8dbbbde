"""Comparisons on the tiny data set, and records of runs that nobody trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from tiny import Settings

from recbole_bns.cli.flags import parse_flags
from recbole_bns.compare.plan import Plan, read_plan


def words_of(settings: Settings, *more: str) -> list[str]:
    """The command line of a comparison on the tiny data set; later words win."""
    flags = {
        "model": "BPR",
        "dataset": "tiny",
        "samplers": "rns,dns",
        "seeds": "2",
        "topk": "3,5",
        **settings,
    }
    flags |= dict(word[2:].split("=", 1) for word in more)
    return [f"--{key}={value}" for key, value in flags.items()]


def plan_of(settings: Settings, *more: str) -> Plan:
    return read_plan(parse_flags(words_of(settings, *more)))


VARIANTS = """
rate=0.5: {neg_sampler: rns, learning_rate: 0.5}
hard: {neg_sampler: dns, neg_sampler_args: {candidate_num: 9}}
Slow-2: {neg_sampler: rns, epochs: 2, learning_rate: 0.01}
"""


def record_of(sampler: str, seed: int, **metrics: float) -> dict[str, Any]:
    result = {
        "neg_sampler": sampler,
        "test_result": metrics,
        "train_epoch_seconds": [2.0, 3.0, 4.0],
        "best_epoch": 2,
        "epochs": 3,
        "neg_sampler_label": sampler,
        "neg_sampler_args": {"m": 5},
        "best_valid_result": {},
    }
    settings = {"learning_rate": 0.1, "epochs": 3, "reg_weight": 0.5 if sampler == "b" else 0.0}
    return {
        "sampler": sampler,
        "seed": seed,
        "status": "done",
        "result": result,
        "settings": settings,
    }


def two_seeds() -> tuple[list[dict[str, Any]], dict[Any, Any]]:
    """Three samplers, two seeds with different test users; ``c`` lacks the second seed."""
    source = np.random.default_rng(5)
    users = {1: ["u1", "u2", "u3", "u4", "u5"], 2: ["u5", "u1", "u6", "u2", "u7"]}
    values: dict[Any, Any] = {}
    records = []
    for sampler, seeds in (("a", (1, 2)), ("b", (1, 2)), ("c", (1,))):
        for seed in seeds:
            column = source.random(5)
            values[sampler, seed] = {"users": np.array(users[seed]), "ndcg@5": column}
            records.append(record_of(sampler, seed, **{"ndcg@5": column.mean(), "gauc": 0.5}))
    return records, values


def many_rows(rows: list[str], seeds: int = 3, **more: float) -> tuple[list[Any], dict[Any, Any]]:
    """Records and metrics of users of any number of rows; the second row is far better."""
    source = np.random.default_rng(3)
    users = np.array([f"u{user}" for user in range(50)])
    records, values = [], {}
    base = source.random(50) * 0.2
    for place, row in enumerate(rows):
        for seed in range(1, seeds + 1):
            ndcg = base + (0.3 if place == 1 else 0.0) + source.random(50) * 0.01
            both = {"ndcg@20": ndcg, "recall@20": ndcg * 2}
            values[row, seed] = {"users": users, **both}
            means = {name: float(value.mean()) for name, value in both.items()}
            records.append(record_of(row, seed, **means, **more))
    return records, values
