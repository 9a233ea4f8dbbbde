"""The promises of a negative sampler, and the small catalogue and scorers they are checked on."""

from __future__ import annotations

import io
import random
from collections import deque
from collections.abc import Iterator, Mapping
from inspect import signature
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_bns.sampling import (
    Catalogue,
    FactorScorer,
    NegativeSampler,
    Scorer,
    SharedList,
    parse,
    registry,
)
from recbole_bns.sampling.capabilities import (
    HeldOutPairs,
    KnownPairs,
    Learns,
    Scores,
    SideData,
    of_type,
)

from .contract import Contract, Variations

NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
Bad = tuple[float, Any] | None  # a score that is not finite, and the items that have it
Batch = tuple[Tensor, Tensor]  # users and positives, both (B,)


class TableScorer(Scorer):
    """Scores read from a ``(U, I)`` table: the plainest model that has no vectors."""

    def __init__(self, table: Tensor) -> None:
        self.table = table.detach()

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Entries ``(B, M)`` of the table."""
        return self.table[users.unsqueeze(1), items]

    def catalogue(self, users: Tensor) -> Tensor:
        """Rows ``(B, I)`` of the table."""
        return self.table[users]

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """Rows and columns ``(B, R)`` of the table."""
        return self.table[users][:, items]


def small_catalogue(device: str = "cpu", bitmap: bool | None = None) -> Catalogue:
    """23 users, 40 items: users 1, 2 and 3 have as many negatives, the others 20 or more."""
    source = random.Random(7)
    pairs = [(user, item) for user in (1, 2, 3) for item in range(1, 41 - user)]
    for user in range(4, 24):
        pairs += [(user, item) for item in source.sample(range(1, 41), source.randint(1, 20))]
    pairs += [*pairs[-9:], (5, 0)]
    users, items = torch.tensor(pairs, device=device).T
    return Catalogue(users, items, 24, 41, bitmap=bitmap)


def make_scorer(kind: str, catalogue: Catalogue, seed: int, bad: Bad = None) -> Scorer | None:
    """A random scorer of a ``kind``: factor, table or none; in it the padding scores highest."""
    if kind == "none":
        return None
    generator = torch.Generator().manual_seed(seed)
    users = torch.randn(catalogue.user_num, 4, generator=generator)
    items = torch.randn(catalogue.item_num, 4, generator=generator)
    users[:, 0], items[0, 0] = users[:, 0].abs(), 100.0
    if bad is not None:
        items[bad[1]] = torch.tensor([bad[0], 0, 0, 0])
    users, items = (x.to(catalogue.device).requires_grad_() for x in (users, items))
    return FactorScorer(users, items) if kind == "factor" else TableScorer(users @ items.T)


def footprint(value: Any) -> int:
    """Numbers in the tensors and arrays of ``value``, and entries of its containers."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    if isinstance(parts, (list, tuple, set, deque)):
        return len(parts) + sum(map(footprint, parts))
    return int(np.prod(parts.shape)) if isinstance(parts, (Tensor, np.ndarray)) else 0


def generator_states() -> str:
    """The states of the global generators of torch, NumPy and Python."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    legacy: Any = np.random.get_state()  # noqa: NPY002 - the global one is what we watch
    tensors = [state.numpy().tobytes() for state in (torch.get_rng_state(), *cuda)]
    return repr((tensors, legacy[1].tobytes(), legacy[2:], random.getstate()))


KINDS: dict[str, type] = {"none": object, "factor": FactorScorer, "table": TableScorer}
"""What a sampler is given of each kind of scorer."""
NUMBERS = (1, 3)
"""Negatives a positive."""
EPOCHS = 8
"""How many epochs a sampler is told that there are."""
LAW_STEPS, LAW_ROWS = 100, 512
LIST_STEPS, LIST_ROWS = 1500, 16
"""Batches, and rows of each, by which laws are measured."""


class Case(NamedTuple):
    """What one check looks at."""

    kind: str
    n: int
    sampler: NegativeSampler


class SamplerContract(Contract):
    """The promises of a sampler as test methods; derive a ``Test…`` class and set ``name``."""

    name: ClassVar[str]
    args: ClassVar[Mapping[str, Any]] = {}
    kinds: ClassVar[tuple[str, ...]] = ("none", "factor", "table")
    """Kinds of scorers to try; those that the sampler cannot use are left out."""
    deterministic: ClassVar[bool] = False
    """With one negative a positive, the ids depend on the scores alone."""
    with_optional: ClassVar[bool] = False
    """Give it the data, too, that it can do without: known dislikes."""
    device: ClassVar[str] = "cpu"

    def make_sampler(self, catalogue: Catalogue, seed: int) -> NegativeSampler:
        """Build the sampler; overwrite it for one that is not registered."""
        cls = registry.get(self.name)
        needs = cls.requirements_of(parse(cls.Params, self.args, "args"))
        wanted = [need for need in needs if isinstance(need, SideData)]
        names = [need.name for need in wanted if self.with_optional or not need.optional]
        side = {name: self.side_data(name, catalogue) for name in names}
        made = registry.build(self.name, catalogue, self.args, seed=seed, side=side)
        made.epochs = EPOCHS
        return made

    def side_data(self, name: str, catalogue: Catalogue) -> Tensor:
        """What the sampler asks for: groups of users, a held-out item each, or known dislikes.

        Of these users 4, 7, 10, … have up to six, some of which are positives; the others none.
        """
        users = torch.arange(catalogue.user_num, device=catalogue.device)
        if name == KnownPairs.name:
            those = users[4::3].repeat_interleave(6)
            return torch.stack((those, 1 + (7 * torch.arange(len(those)).to(users)) % 40))
        return torch.stack((users, users + 1)) if name == HeldOutPairs.name else users % 4

    def labels(self) -> list[tuple[str, int]]:
        """Kind of scorer and number of negatives of each case that the sampler can serve."""
        scores = of_type(self.case("none", 1).sampler.requirements(), Scores)
        served = [k for k in self.kinds if scores is None or issubclass(KINDS[k], scores.scorer)]
        return [(kind, n) for kind in served for n in NUMBERS]

    def case(self, kind: str, n: int, seed: int = 0) -> Case:
        """A case with a fresh sampler."""
        return Case(kind, n, self.make_sampler(small_catalogue(self.device), seed))

    def cases(self, seed: int = 0) -> Iterator[Case]:
        """Every kind of scorer it can use x 1 or 3 negatives, each with a fresh sampler."""
        for kind, n in self.labels():
            yield self.case(kind, n, seed)

    def _variations(self, name: str) -> Variations:
        """Names of a check's arguments and the values that it is called with."""
        check = vars(SamplerContract).get(name)
        if check is None or "kind" not in signature(check).parameters:
            return {}
        try:
            labels = self.labels()
        except Exception:  # the sampler cannot be made: each check says so, where it is made
            labels = [(kind, n) for kind in self.kinds for n in NUMBERS]
        variations: Variations = {("kind", "n"): [*labels]}
        if name == "test_unusable_scores":
            variations["bad",] = [(bad,) for bad in NOT_FINITE]
        return variations

    def batch(self, catalogue: Catalogue, seed: int) -> Batch:
        """Users and positives of a step; users repeat."""
        rows = (37 * torch.arange(48) + 11 * seed).to(catalogue.device) % len(catalogue.positives)
        return catalogue.owners[rows], catalogue.positives[rows].long()

    def popular_batch(self, catalogue: Catalogue, rows: int, seed: int) -> Batch:
        """Users, each as likely, and items by their popularity, as shuffled epochs have them."""
        generator = torch.Generator().manual_seed(seed)
        users = torch.randint(1, catalogue.user_num, (rows,), generator=generator)
        counts = catalogue.item_counts.cpu().double()
        items = torch.multinomial(counts, rows, replacement=True, generator=generator)
        return users.to(catalogue.device), items.to(catalogue.device)

    def run(self, case: Case, epochs: range, bad: Bad = None, batch: Batch | None = None) -> Tensor:
        """Ids ``(steps, B, n)`` of two steps an epoch, each under other weights, all checked."""
        kind, n, sampler = case
        catalogue, steps = sampler.catalogue, []
        for epoch in epochs:
            sampler.begin_epoch(epoch, make_scorer(kind, catalogue, 10 * epoch, bad))
            for step in (10 * epoch + 1, 10 * epoch + 2):
                users, items = batch or self.batch(catalogue, step)
                scorer = make_scorer(kind, catalogue, step, bad)
                steps.append(sampler.sample(users, items, n, scorer))
                self.check_ids(catalogue, users, steps[-1], n)
                self.answer(sampler, users, items, steps[-1], scorer)
        return torch.stack(steps)

    def answer(
        self, sampler: NegativeSampler, users: Tensor, items: Tensor, ids: Tensor, scorer: Any
    ) -> None:
        """Tell a sampler that learns of a step, as a trainer does."""
        if of_type(sampler.requirements(), Learns) and scorer is not None:
            sampler.after_step(users, items, ids, scorer)

    def check_ids(self, catalogue: Catalogue, users: Tensor, ids: Tensor, n: int) -> None:
        """Shape, type, device, range; no padding, no training positive; distinct if possible."""
        assert ids.shape == (len(users), n)
        assert (ids.dtype, ids.device) == (torch.int64, users.device)
        assert bool(((ids > 0) & (ids < catalogue.item_num)).all()), "padding, or no item"
        taken = torch.zeros(catalogue.user_num, catalogue.item_num, device=ids.device)
        taken[catalogue.owners, catalogue.positives.long()] = 1
        assert not bool(taken[users.unsqueeze(1), ids].any()), "a training positive"
        repeats = (ids.sort(1).values.diff(dim=1) == 0).any(1)
        enough = catalogue.item_num - 1 - taken[users].sum(1) >= n
        assert not bool((repeats & enough).any()), "an item twice in one row"

    def test_ids(self, kind: str, n: int) -> None:
        """Ids ``(B, n)`` are int64, on the inputs' device, negatives of the user, and distinct."""
        self.run(self.case(kind, n), range(2))

    def test_one_user(self, kind: str, n: int) -> None:
        """One row, or all of one user; a user with one negative always gets it."""
        every = torch.arange(1, 38, device=self.device)
        case = self.case(kind, n)
        for user, items in ((9, every[:1]), (3, every), (1, every)):
            ids = self.run(case, range(2), batch=(torch.full_like(items, user), items))
            assert user != 1 or bool((ids == 40).all())

    def test_seed(self, kind: str, n: int) -> None:
        """The seed decides, not the state of the global generators; another gives other ids."""
        case = self.case(kind, n, seed=3)
        expected, catalogue = self.run(case, range(2)), case.sampler.catalogue
        torch.rand(1)  # move the global generator on
        same, other = (case._replace(sampler=self.make_sampler(catalogue, s)) for s in (3, 4))
        assert torch.equal(self.run(same, range(2)), expected)
        if n > 1 or not self.deterministic:
            assert not torch.equal(self.run(other, range(2))[-1], expected[-1])

    def test_global_generators(self, kind: str, n: int) -> None:
        """The global generators of torch, NumPy and Python are not used."""
        before = generator_states()
        self.run(self.case(kind, n), range(2))
        assert generator_states() == before

    def test_nothing_else_changes(self, kind: str, n: int) -> None:
        """Inputs, scorer and catalogue stay as they were; nothing kept belongs to a graph."""
        sampler = self.case(kind, n).sampler
        users, items = self.batch(sampler.catalogue, 0)
        scorer = make_scorer(kind, sampler.catalogue, 1)
        held = [] if scorer is None else vars(scorer).values()
        seen = [x for x in held if isinstance(x, Tensor)]
        seen += [users, items, *sampler.catalogue.buffers()]
        copies = [x.clone() for x in seen]
        for epoch in range(3):
            sampler.begin_epoch(epoch, scorer)
            ids = sampler.sample(users, items, n, scorer)
            self.answer(sampler, users, items, ids, scorer)
        assert all(map(torch.equal, seen, copies))
        assert not any(x.requires_grad for x in [*sampler.buffers(), *sampler.parameters()])

    def test_restored_state_continues(self, kind: str, n: int) -> None:
        """A state saved in mid-epoch and loaded into another sampler draws the same ids."""
        case = self.case(kind, n, seed=5)
        self.run(case, range(2))
        file, catalogue = io.BytesIO(), case.sampler.catalogue
        torch.save(case.sampler.state_dict(), file)
        file.seek(0)
        fresh, used = (case._replace(sampler=self.make_sampler(catalogue, s)) for s in (6, 7))
        self.run(used, range(1))
        used.sampler.load_state_dict(case.sampler.state_dict())
        fresh.sampler.load_state_dict(torch.load(file, weights_only=True))
        users, items = self.batch(catalogue, 99)
        scorer = make_scorer(kind, catalogue, 99)
        runs = []
        for each in (case, fresh, used):
            rest = each.sampler.sample(users, items, n, scorer)
            later = self.run(each, range(2, 4))
            runs.append(torch.cat((rest.flatten(), later.flatten())))
        assert torch.equal(runs[1], runs[0])
        assert torch.equal(runs[2], runs[0])

    def test_unusable_scores(self, kind: str, n: int, bad: float) -> None:
        """A NaN or infinite score is not chosen while another can be; without one ids are valid."""
        catalogue = small_catalogue(self.device)
        users, items = catalogue.owners, catalogue.positives.long()
        rich = catalogue.negative_num[users] >= 20
        case = self.case(kind, n)
        scores = of_type(case.sampler.requirements(), Scores)
        if scores and scores.since <= 2:  # else none is looked at in these epochs
            batch = users[rich], items[rich]
            self.run(case, range(1), (bad, 30), batch)
            assert 30 not in self.run(case, range(2, 4), (bad, 30), batch)
        self.run(case, range(4, 5), (bad, slice(None)))

    def test_memory_is_bounded(self, kind: str, n: int) -> None:
        """What a sampler holds does not grow with the steps and epochs."""
        case, sizes = self.case(kind, n), []
        for epochs in (range(6), range(6, 8)):
            self.run(case, epochs)
            sizes.append(sum(footprint(vars(module)) for module in case.sampler.modules()))
        assert sizes[1] <= sizes[0]

    def test_log_prob(self) -> None:
        """Draws have the law that ``log_prob`` tells, if it does, over batches as of an epoch."""
        kind, catalogue = self.labels()[0][0], small_catalogue(self.device)
        sampler, scorer = self.make_sampler(catalogue, 8), make_scorer(kind, catalogue, 1)
        users = torch.arange(1, catalogue.user_num, device=self.device)
        every = torch.arange(1, catalogue.item_num, device=self.device).expand(len(users), -1)
        told = sampler.log_prob(users, every)
        if told is None:
            return
        assert (told.shape, told.dtype, told.device) == (every.shape, torch.float32, users.device)
        assert bool(told.isfinite().all()), "also of positives"
        law = told.double().exp().masked_fill(catalogue.is_positive(users.unsqueeze(1), every), 0)
        assert bool((law.sum(1) - 1).abs().max() < 1e-4), "it does not add up to 1"
        sampler.begin_epoch(0, scorer)
        drawn = torch.zeros(catalogue.user_num, catalogue.item_num, device=self.device)
        for step in range(LAW_STEPS):
            users, items = self.popular_batch(catalogue, LAW_ROWS, step)
            ids = sampler.sample(users, items, 1, scorer).squeeze(1)
            drawn.index_put_((users, ids), torch.ones_like(ids, dtype=drawn.dtype), True)
        drawn = drawn[1:, 1:].double()
        expected = law * drawn.sum(1, keepdim=True)
        common = expected >= 5
        excess = (drawn - expected).square() / expected.clamp_min(1)
        cells = int(common.sum())
        assert float(excess[common].sum()) < cells + 8 * cells**0.5, "draws have another law"

    def lists(self, sampler: NegativeSampler, n: int, steps: range) -> list[Tensor]:
        """Lists of some batches, each checked; [] of a sampler that gives none."""
        found: list[Tensor] = []
        if not isinstance(sampler, SharedList):
            return found
        for step in steps:
            users, items = self.popular_batch(sampler.catalogue, LIST_ROWS, step)
            ids = sampler.sample_shared(users, items, n)
            assert ids.shape == (sampler.list_length(len(users), n),)
            assert (ids.dtype, ids.device) == (torch.int64, users.device)
            assert bool(((ids > 0) & (ids < sampler.catalogue.item_num)).all()), "no item"
            found.append(ids)
        return found

    def test_shared_list(self) -> None:
        """A shared list, if there are any, is of items alone; seed and state decide it."""
        catalogue, before = small_catalogue(self.device), generator_states()
        for n in (1, 6, 99):
            first, same, other = (self.make_sampler(catalogue, seed) for seed in (3, 3, 4))
            expected = self.lists(first, n, range(3))
            assert all(map(torch.equal, self.lists(same, n, range(3)), expected))
            other.load_state_dict(first.state_dict())
            rest = self.lists(first, n, range(3, 6))
            assert all(map(torch.equal, self.lists(other, n, range(3, 6)), rest)), "by state"
        assert generator_states() == before

    def test_shared_log_prob(self) -> None:
        """Lists have the law that ``shared_log_prob`` tells, if it does; different items nearly."""
        catalogue = small_catalogue(self.device)
        sampler = self.make_sampler(catalogue, 8)
        every = torch.arange(1, catalogue.item_num, device=self.device)
        told = sampler.shared_log_prob(every) if isinstance(sampler, SharedList) else None
        if told is None:
            return
        assert (told.shape, told.dtype, told.device) == (every.shape, torch.float32, every.device)
        assert bool(told.isfinite().all())
        law = told.double().exp()
        assert float((law.sum() - 1).abs()) < 1e-4, "it does not add up to 1"
        drawn = torch.cat(self.lists(sampler, 4, range(LIST_STEPS)))
        found = torch.bincount(drawn, minlength=catalogue.item_num)[1:]
        expected = law * len(drawn)
        far = (found - expected).abs() > 4 * expected.sqrt() + 0.1 * expected
        assert not bool(far.any()), "lists have another law"
