"""What a sampler needs, by type: ours, and samplers of others who say it in the older ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recbole_bns.sampling import CandidateSampler, FactorScorer, NegativeSampler, Scorer, get, param
from recbole_bns.sampling.capabilities import (
    EpochNumber,
    HeldOutPairs,
    KnownPairs,
    Learns,
    ModelValues,
    Negatives,
    OneList,
    Perturbed,
    Pretrained,
    Requirement,
    Scores,
    ScoresBetweenBatches,
    UserColumn,
    Vectors,
    of_type,
)
from recbole_bns.testing import small_catalogue

OURS: list[tuple[str, dict[str, Any], set[type[Requirement]]]] = [
    ("rns", {}, {Negatives}),
    ("pns", {}, {Negatives}),
    ("inbatch", {}, {Negatives}),
    ("mixed", {}, {Negatives}),
    ("given", {}, {Negatives, KnownPairs}),
    ("all", {}, {Negatives, OneList}),
    ("dns", {}, {Scores, Negatives}),
    ("ahns", {}, {Scores, Negatives}),
    ("aobpr", {}, {Vectors, Negatives}),
    ("aobpr", {"definition": "global"}, {Scores, ScoresBetweenBatches, Negatives}),
    ("aobpr", {"definition": "global", "ranks": "step"}, {Scores, Negatives}),
    ("srns", {}, {Scores, ScoresBetweenBatches, Negatives}),
    ("srns", {"alpha": 0}, {Scores, Negatives}),
    ("srns", {"pick": "uniform"}, {Scores, Negatives}),
    ("cuco", {}, {Scores, EpochNumber, Negatives}),
    ("irgan", {}, {Vectors, Learns, Negatives}),
    ("rns_as", {"pretrained": "runs/one"}, {Vectors, Learns, Negatives, Pretrained}),
    ("advir", {}, {Vectors, Learns, Negatives, Perturbed}),
    ("advir", {"perturbation": 0.0}, {Vectors, Learns, Negatives}),
    ("bns", {}, {Scores, Negatives, KnownPairs}),
    ("bns", {"candidate_num": "all"}, {Scores, KnownPairs}),
    ("bns", {"prior": "occupation"}, {Scores, Negatives, UserColumn, KnownPairs}),
    ("bns", {"prior": "oracle"}, {Scores, Negatives, HeldOutPairs, KnownPairs}),
    ("bns", {"prior": "mine.npy"}, {Scores, Negatives, KnownPairs}),
    ("bns", {"prior": np.ones(3)}, {Scores, Negatives, KnownPairs}),
    ("bns_plus", {"prior": "run/best.pt"}, {Scores, Negatives, ModelValues, KnownPairs}),
    ("bns_plus", {"prior": {"model": "EASE"}}, {Scores, Negatives, ModelValues, KnownPairs}),
]


@pytest.mark.parametrize(("name", "args", "kinds"), OURS)
def test_what_ours_need(name: str, args: dict[str, Any], kinds: set[type[Requirement]]) -> None:
    cls = get(name)
    assert {type(each) for each in cls.requirements_of(cls.Params(**args))} == kinds


def test_a_warm_up_is_an_epoch_since_which_scores_are_needed() -> None:
    sampler = get("bns")(small_catalogue(), get("bns").Params(warmup_epochs=3))
    scores = of_type(sampler.requirements(), Scores)
    assert scores == Scores(since=3)
    for epoch, warming in ((0, True), (2, True), (3, False)):
        sampler.begin_epoch(epoch, None)
        assert sampler.warming_up() is warming


@dataclass(frozen=True)
class OldParams:
    """Of a sampler of others."""

    candidate_num: int = param(4, "candidates", low=1)
    replacement: bool = param(False, "with replacement")
    prior: str = param("job", "a column")


class Old(CandidateSampler):
    """Says what it needs by attributes and methods alone, as samplers did before."""

    name, idea, paper = "old", "an idea", "a paper"
    Params = OldParams

    def choose(self, candidates: Tensor, scores: Tensor, *rest: Any) -> Tensor:
        """The highest."""
        return scores.argmax(2)

    @classmethod
    def side_data(cls, params: Any) -> tuple[str, ...]:
        """A column, the held-out pairs and a model's values."""
        return (f"user:{params.prior}", "held_out", "prior:model")

    def looks_between_batches(self) -> bool:
        """It does."""
        return True

    def warming_up(self) -> bool:
        """In even epochs."""
        return self.epoch % 2 == 0


class OldVectors(NegativeSampler):
    """Has an attribute, and a method that says more than it."""

    name, idea, paper = "old_vectors", "an idea", "a paper"
    needs = Scorer

    def scorer_needed(self) -> type[Scorer] | None:
        """Vectors in odd epochs, nothing in even ones."""
        return FactorScorer if self.epoch % 2 else None

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Any) -> Tensor:
        """Uniform."""
        return self.proposal.draw(users, n, self.generator)


def test_what_samplers_say_in_older_ways_are_types_too() -> None:
    sampler = Old(small_catalogue())
    assert sampler.requirements() == (
        Scores(since=1),
        ScoresBetweenBatches(),
        Negatives(4, True),
        UserColumn(column="job"),
        HeldOutPairs(),
        ModelValues(model="job"),
    )
    sampler.begin_epoch(1, None)
    assert of_type(sampler.requirements(), Scores) == Scores()
    assert [each.name for each in sampler.requirements()[3:]] == list(Old.side_data(sampler.params))
    vectors = OldVectors(small_catalogue())
    assert vectors.requirements() == (Negatives(),)
    vectors.begin_epoch(1, None)
    assert vectors.requirements() == (Vectors(), Negatives())


def test_ours_answer_in_the_older_ways() -> None:
    cls = get("aobpr")
    sampler = cls(small_catalogue())
    assert (sampler.scorer_needed(), sampler.looks_between_batches()) == (FactorScorer, False)
    sampler = cls(small_catalogue(), cls.Params(definition="global"))
    assert (sampler.scorer_needed(), sampler.looks_between_batches()) == (Scorer, True)
    assert get("bns").side_data(get("bns").Params(prior="age")) == ("user:age",)
    assert get("bns").side_data(get("bns").Params(prior="oracle")) == ("held_out",)
    assert get("rns")(small_catalogue()).scorer_needed() is None


@pytest.mark.parametrize(
    ("need", "n", "wanted"),
    [
        (Negatives(), 1, 1),
        (Negatives(), 3, 3),
        (Negatives(5), 1, 1),
        (Negatives(5), 3, 15),
        (Negatives(5, True), 1, 5),
    ],
)
def test_different_negatives_that_a_positive_takes(need: Negatives, n: int, wanted: int) -> None:
    assert need.wanted(n) == wanted


REFUSALS = [
    (
        OneList().refusal("all", ["rns", "dns"]),
        "neg_sampler 'all' needs a loss over many negatives, such as --loss=ssm; allowed without "
        "one: rns, dns.",
    ),
    (
        Vectors(hint="that works with less").refusal("x", "FM", ["rns", "dns"]),
        "neg_sampler 'x' needs user and item vectors, which FM does not have; allowed with this "
        "model: rns, dns (that works with less); a dot-product model of your own is made known "
        "with recbole_bns.factors.",
    ),
    (
        ScoresBetweenBatches(hint="x with y: 0").refusal("FM", ["rns", "dns"]),
        "neg_sampler: it needs scores outside of a batch, but FM scores by the rows of a batch "
        "(item sequence or features); allowed with this model: rns, dns, or x with y: 0.",
    ),
    (
        ScoresBetweenBatches().refusal("FM", ["rns"]),
        "neg_sampler: it needs scores outside of a batch, but FM scores by the rows of a batch "
        "(item sequence or features); allowed with this model: rns.",
    ),
    (
        UserColumn(column="job", setting="a.b", hint="one, two").missing(["age"], "user_id"),
        "a.b: 'job' is no column of the data set's .user file (loaded columns: age); allowed: one, "
        "two, or such a column, loaded with load_col: {user: [user_id, job]}.",
    ),
    (
        UserColumn(column="job", setting="a.b").not_groups("float"),
        "a.b: 'job' is a float column of the data set's .user file, allowed: a token column, whose "
        "values are groups of users (job:token in the file's header).",
    ),
    (
        ModelValues(setting="a.b", hint="use less").too_many(1 << 20, 1 << 10, 1 << 21),
        "a.b: a model's values of 1048576 x 1024 pairs take 2048 MiB, allowed are 2; use less.",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), REFUSALS)
def test_sentence_of_a_refusal(error: Exception, sentence: str) -> None:
    assert str(error) == sentence


def test_a_loader_that_ignores_the_announcement_is_served() -> None:
    """Draws have the same law, and no padding or positive among them."""
    sampler = get("rns")(small_catalogue(), seed=1)
    catalogue = sampler.catalogue
    users = catalogue.owners
    sampler.announce(users)
    ids = torch.cat([sampler.sample(part, part, 1, None) for part in users.split(7)])
    assert bool((ids > 0).all())
    assert not bool(catalogue.is_positive(users.unsqueeze(1), ids).any())
