"""The quantities of SRNS's Fig. 1 against loops."""

from __future__ import annotations

from itertools import product
from math import isnan

import numpy as np
import pytest
import torch

from recbole_bns.studies.noise import scores

SOURCE = torch.Generator().manual_seed(1)
VALUES = torch.randn(3, 6, generator=SOURCE)
NEGATIVE = torch.tensor([[0, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]).bool()
FALSE = torch.tensor([[0, 1, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()


@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_label_errors_are_those_of_all_ways_to_draw(difficulty: int) -> None:
    weight = torch.tensor([3, 1, 7])
    shares = []
    for user in (0, 1):
        items = NEGATIVE[user].nonzero()[:, 0].tolist()
        taken = [
            max(drawn, key=lambda item, user=user: float(VALUES[user, item]))  # type: ignore[misc]
            for drawn in product(items, repeat=difficulty)
        ]
        shares.append(np.mean([bool(FALSE[user, item]) for item in taken]))
    found = scores.label_errors(VALUES, NEGATIVE, FALSE, weight, difficulty)
    assert found == pytest.approx((3 * shares[0] + shares[1]) / 4)


def test_shares_above() -> None:
    values = torch.tensor([0.1, 0.5, 0.5, 0.9])
    points = torch.tensor([0.0, 0.1, 0.5, 0.6, 1.0])
    assert scores.share_above(values, points) == [1, 1, 0.75, 0.25, 0]


def test_the_hardest_are_true_ones_with_the_highest_scores() -> None:
    true = NEGATIVE & ~FALSE
    found = scores.hardest(VALUES, true, 2)
    for user in range(3):
        items = sorted(true[user].nonzero()[:, 0].tolist(), key=lambda i: -float(VALUES[user, i]))
        assert found[user].nonzero()[:, 0].tolist() == sorted(items[:2])


def test_medians_of_kinds() -> None:
    found = scores.medians(VALUES, {"false": FALSE, "none": FALSE & ~FALSE})
    assert found["false"] == float(VALUES[FALSE].median())
    assert isnan(found["none"])


def test_deviation_over_mean() -> None:
    history = torch.rand(5, 3, 6, generator=SOURCE)
    table = history.numpy().astype(float)
    found = scores.relative_deviation(history)
    np.testing.assert_allclose(found.numpy(), table.std(0) / table.mean(0), rtol=1e-5)


def test_levels_hold_what_is_about_as_hard() -> None:
    probability = torch.tensor([[0.05, 0.02, 0.55, 1.0]])
    deviation = torch.tensor([[1.0, 3.0, 5.0, 7.0]])
    kinds = {"true": torch.tensor([[True, True, True, False]]), "false": probability == 1}
    found = scores.by_level(probability, deviation, kinds)
    assert [line["level"] for line in found] == pytest.approx([0.05 + k / 10 for k in range(10)])
    assert found[0]["true"] == 1, "torch's median of two is the lower"
    assert found[5]["true"] == 5
    assert found[9]["false"] == 7
    assert isnan(found[9]["true"])
