"""Means, tests and times of a comparison against arithmetic by hand and SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from comparisons import record_of, two_seeds
from scipy import stats

from recbole_bns.compare.statistics import (
    against_reference,
    different_test_parts,
    holm,
    means_table,
    paired_tests,
    runs_table,
    still_improving,
    times_table,
)


def test_means_ranks_and_times_by_hand():
    scores = {"a": (0.25, 0.75), "b": (0.1, 0.3), "c": (0.4, 0.6), "d": (0.3,)}
    runs = runs_table(
        [
            record_of(s, i, **{"ndcg@5": v, "mae": v})
            for s, vs in scores.items()
            for i, v in enumerate(vs)
        ]
        + [{"sampler": "b", "seed": 9, "status": "failed"}]
    )
    means = means_table(runs, ["d", "c", "b", "a", "absent"], smaller={"mae"})
    table = means[means["metric"] == "ndcg@5"].set_index("sampler")
    assert list(table.index) == ["d", "c", "b", "a"]
    assert table["mean"].to_dict() == pytest.approx({"a": 0.5, "b": 0.2, "c": 0.5, "d": 0.3})
    assert table["std"]["a"] == pytest.approx(math.sqrt(2 * 0.25**2))
    assert math.isnan(table["std"]["d"])
    assert table["rank"].to_dict() == {"a": 1, "c": 1, "d": 2, "b": 3}
    smaller = means[means["metric"] == "mae"].set_index("sampler")
    assert smaller["rank"].to_dict() == {"b": 1, "d": 2, "a": 3, "c": 3}
    times = times_table(runs, ["a"]).loc["a"]
    assert times["train_seconds", "mean"] == 9.0
    assert times["seconds_to_best", "mean"] == 5.0


def test_holm_by_hand():
    p = np.array([0.04, 0.01, np.nan, 0.03, 0.9])
    assert holm(p).tolist() == pytest.approx([0.09, 0.04, np.nan, 0.09, 0.9], nan_ok=True)
    assert holm(np.array([0.5, 0.6])).tolist() == [1.0, 1.0]
    assert holm(np.array([0.2])).tolist() == [0.2]


def test_paired_tests_are_those_of_scipy():
    source = np.random.default_rng(3)
    ours, theirs = source.random(30).round(1), source.random(30).round(1)
    found = paired_tests(ours - theirs)
    gaps = (ours - theirs).round(9)
    assert found["users"] == 30
    assert found["p_t"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    t = gaps.mean() / (gaps.std(ddof=1) / math.sqrt(30))
    assert found["p_t"] == pytest.approx(2 * stats.t.sf(abs(t), 29))
    assert found["p_wilcoxon"] == pytest.approx(stats.wilcoxon(gaps).pvalue)
    assert paired_tests(np.full(5, 1e-17)) == {"users": 5, "p_t": 1.0, "p_wilcoxon": 1.0}


def test_users_are_averaged_over_seeds_then_paired():
    records, values = two_seeds()
    table = against_reference(runs_table(records), values, ["a", "b", "c"], "a")
    table = table.set_index(["sampler", "metric"])
    gap: dict[str, list[float]] = {}
    for seed in (1, 2):
        ours, theirs = values["b", seed], values["a", seed]
        for user, x, y in zip(ours["users"], ours["ndcg@5"], theirs["ndcg@5"], strict=True):
            gap.setdefault(user, []).append(x - y)
    by_hand = np.array([np.mean(each) for each in gap.values()])
    b, c = table.loc[("b", "ndcg@5")], table.loc[("c", "ndcg@5")]
    assert b["users"] == 7
    assert b["p_t"] == pytest.approx(stats.ttest_1samp(by_hand, 0).pvalue)
    assert b["p_wilcoxon"] == pytest.approx(stats.wilcoxon(by_hand).pvalue)
    assert b["difference"] == pytest.approx(
        np.mean([(values["b", s]["ndcg@5"] - values["a", s]["ndcg@5"]).mean() for s in (1, 2)])
    )
    assert c["users"] == 5, "only the common seed counts"
    assert c["p_t"] == pytest.approx(
        stats.ttest_rel(values["c", 1]["ndcg@5"], values["a", 1]["ndcg@5"]).pvalue
    )
    assert [b["p_t_holm"], c["p_t_holm"]] == holm(np.array([b["p_t"], c["p_t"]])).tolist()
    assert table.loc[("b", "gauc"), ["users", "p_t", "p_t_holm"]].isna().all()
    assert different_test_parts(values) == []
    values["a", 1]["users"][0] = "other"
    assert different_test_parts(values) == [1]


def test_still_improving_is_best_at_the_last_evaluation_of_all_epochs():
    def record(seed: int, best: int, epochs: int, **settings: int) -> dict[str, Any]:
        found = record_of("a", seed, **{"ndcg@5": 0.5})
        found["settings"] |= {"epochs": 5} | settings
        valid = {"ndcg@5": 0.5} if seed != 6 else None
        found["result"] |= {"best_epoch": best, "epochs": epochs, "best_valid_result": valid}
        return found

    records = [
        record(1, 5, 5),
        record(2, 4, 5),
        record(3, 4, 5, eval_step=2),  # evaluated after epochs 2 and 4
        record(4, 3, 4),  # stopped early
        record(5, 2, 5, eval_step=2),
        record(6, 5, 5),  # without a validation part the last epoch is tested
        {"sampler": "b", "seed": 1, "status": "failed"},
    ]
    assert still_improving(records) == {"a": [1, 3]}
    assert still_improving(records[1:2]) == {}
