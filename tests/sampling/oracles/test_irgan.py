"""IRGAN against its formulas by hand: the law of its draws, the proposal, the expected gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from learned import SlowAdam, begun, softmax, to_tables, vectors, weights
from toys import assert_law, random_case, sigmoid

from recbole_bns.sampling import get
from recbole_bns.sampling.generators import reinforce
from recbole_bns.sampling.methods import irgan
from recbole_bns.sampling.methods.irgan import log_law, proposal_law, reward


def test_three_items_have_the_gradient_in_closed_form_whatever_is_proposed() -> None:
    """-Σ p R', R' = 2 (sigmoid(s) - 1/2), has the slope -p_k (R'_k - Σ p R') in score k."""
    scores = torch.tensor([[9.0, 0.3, -1.2, 0.8]], dtype=torch.float64)  # the first is padding
    answers = torch.tensor([[1.1, -0.4, 2.0]], dtype=torch.float64)
    p = softmax(scores[0, 1:].numpy())
    game = np.array([2 * (sigmoid(s) - 0.5) for s in answers[0].tolist()])
    closed = -p * (game - (p * game).sum())
    positive = torch.tensor([[False, True, False]])
    for share in (0.0, 0.2, 0.9):
        q = proposal_law(torch.tensor(p)[None], positive, torch.ones(1, 1), share)
        assert q.sum().item() == pytest.approx(1)
        expected = np.zeros(3)
        for x in range(3):
            leaf = scores.clone().requires_grad_()
            r = reward(answers[:, x], torch.tensor(p)[x], q[:, x])
            reinforce(log_law(leaf)[:, 1 + x], r).backward()
            assert leaf.grad is not None
            assert leaf.grad[0, 0] == 0
            expected += q[0, x].item() * leaf.grad[0, 1:].numpy()
        np.testing.assert_allclose(expected, closed, rtol=1e-12)


def test_a_user_without_positives_is_proposed_for_by_p_alone() -> None:
    p = torch.tensor([[0.25, 0.75]])
    none = torch.zeros(1, 2, dtype=torch.bool)
    assert torch.equal(proposal_law(p, none, torch.zeros(1, 1), 0.2), p)


@pytest.mark.parametrize("n", [1, 3])
def test_negatives_have_the_law_of_the_softmax_over_what_the_user_has_not(n: int) -> None:
    case = random_case(1)
    sampler = begun("irgan", case, generator_tau=0.9)
    sampler.item_bias += torch.arange(16) / 30
    users = torch.full((8000,), 2)
    ids = sampler.sample(users, users, n, vectors(case, 1))
    tables = weights(sampler)
    scores = (tables[0][2] @ tables[1].T + tables[2]) / 0.9
    law = np.zeros(16)
    law[case.negatives(2)] = softmax(scores[case.negatives(2)])
    assert_law(ids[:, 0], law)
    assert all(len(set(row)) == n for row in ids.tolist())


def test_what_it_learns_from_is_drawn_from_the_proposal() -> None:
    case = random_case(1)
    sampler: Any = begun("irgan", case, feedback_num=3, positive_share=0.4)
    users = torch.full((4000,), 3)
    p = log_law(sampler.tables.catalogue(users)).exp()
    model = vectors(case, 5)
    drawn, rewards = sampler.feedback(users, p, model)
    mine = case.taken[3]
    law = 0.6 * p[0].numpy() + 0.4 * np.array([(i in mine) / len(mine) for i in range(16)])
    assert_law(drawn, law)
    for item, r in zip(drawn[0].tolist(), rewards[0].tolist(), strict=True):
        answer = 2 * (sigmoid(float(model.users[3] @ model.items[item])) - 0.5)
        assert r == pytest.approx(answer * p[0, item].item() / law[item])


def test_updates_follow_the_published_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irgan, "SCORES_AT_ONCE", 100)  # parts of six rows
    case = random_case(4)
    sampler: Any = begun("irgan", case, 3, generator_rate=0.02, feedback_num=2)
    seen: list[tuple[list[int], list[list[int]]]] = []
    feedback = sampler.feedback

    def recorded(users: Any, p: Any, scorer: Any) -> Any:
        drawn, rewards = feedback(users, p, scorer)
        seen.append((users.tolist(), drawn.tolist()))
        return drawn, rewards

    sampler.feedback = recorded
    tables, adam = weights(sampler), SlowAdam(0.02)
    for step in range(3):
        model = vectors(case, 20 + step)
        ids = sampler.sample(case.users, case.items, 1, model)
        seen.clear()
        sampler.after_step(case.users, case.items, ids, model)
        assert len(seen) == 7
        slopes = np.zeros((case.catalogue.user_num, case.catalogue.item_num))
        for users, rows in seen:
            for user, row in zip(users, rows, strict=True):
                p = np.zeros(16)
                p[1:] = softmax(tables[0][user] @ tables[1][1:].T + tables[2][1:])
                mine = case.taken[user]
                for x in row:
                    q = 0.8 * p[x] + 0.2 * (x in mine) / len(mine)
                    answer = float(model.users[user] @ model.items[x])
                    r = 2 * (sigmoid(answer) - 0.5) * p[x] / q
                    slopes[user] += r * p / (2 * len(case.users))
                    slopes[user, x] -= r / (2 * len(case.users))
        adam.step(tables, to_tables(slopes, tables))
        for ours, theirs in zip(weights(sampler), tables, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_without_an_answer_it_does_not_move() -> None:
    """It has no baseline: it stays where the recommender is undecided about everything."""
    case = random_case(4)
    sampler = begun("irgan", case, 3)
    model = vectors(case, 2)
    model.items = torch.zeros_like(model.items)
    before = weights(sampler)
    ids = sampler.sample(case.users, case.items, 1, model)
    sampler.after_step(case.users, case.items, ids, model)
    assert all(map(np.array_equal, weights(sampler), before))


def test_its_name_says_which_model_is_tested() -> None:
    cls, catalogue = get("irgan"), random_case(0).catalogue
    for tested in ("recommender", "generator"):
        assert cls(catalogue, cls.Params(tested=tested)).label == f"irgan ({tested} tested)"
