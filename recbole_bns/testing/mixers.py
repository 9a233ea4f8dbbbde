"""The promises of a mixer."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_bns.common.params import as_mapping, defaults, parse
from recbole_bns.losses import available as losses
from recbole_bns.mixers import POOLINGS, Made, MixBatch, Mixer, build, get
from recbole_bns.sampling import Catalogue
from recbole_bns.sampling import available as samplers

from .contract import Contract, Variations
from .samplers import generator_states, small_catalogue

ROWS, DIM, USERS = 5, 4, 24
SEED = 3
SEVERAL = (1, 3)
"""Layers, and negatives a positive."""
SCALES = (1.0, 1e4)
"""Of vectors: as they are, and far beyond what any model has."""
CANDIDATES = 6


@cache
def _catalogue(device: str) -> Catalogue:
    """The small catalogue, made once: a mixer only reads it."""
    return small_catalogue(device)


class MixerContract(Contract):
    """The promises of a mixer as test methods; derive a ``Test…`` class and set ``name``."""

    name: ClassVar[str]
    args: ClassVar[Mapping[str, Any]] = {}
    device: ClassVar[str] = "cpu"

    def make_mixer(self) -> Mixer:
        """Build the mixer; overwrite it for one that is not registered."""
        return build(self.name, DIM, self.args).to(self.device)

    def mixer(self, epoch: int = 1) -> Mixer:
        """A mixer at the beginning of an epoch; weights as ``batch`` has vectors: float64."""
        mixer = self.make_mixer().double()
        source = torch.Generator().manual_seed(SEED)
        with torch.no_grad():
            for weight in mixer.parameters():
                weight.copy_(torch.randn(weight.shape, generator=source, dtype=torch.float64))
        mixer.begin_epoch(epoch, SEED)
        return mixer

    def batch(
        self, layer_num: int, n: int, seed: int = 0, pooling: str = "mean", scale: float = 1.0
    ) -> MixBatch:
        """A random batch in float64."""
        source = torch.Generator().manual_seed(seed)
        catalogue = _catalogue(self.device)

        def several(rows: int) -> list[Tensor]:
            size = (rows, DIM)
            drawn = (
                torch.randn(size, generator=source, dtype=torch.float64) for _ in range(layer_num)
            )
            return [(each * scale).to(self.device) for each in drawn]

        items = catalogue.item_num - 1
        ids = torch.stack(
            [torch.randperm(items, generator=source)[: n * CANDIDATES] + 1 for _ in range(ROWS)]
        )
        users = torch.randperm(USERS - 1, generator=source)[:ROWS] + 1
        return MixBatch(
            users=several(ROWS),
            positives=several(ROWS),
            tables=several(catalogue.item_num),
            ids=ids.view(ROWS, n, CANDIDATES).to(self.device),
            pooling=pooling,
            user_ids=users.to(self.device),
            catalogue=catalogue,
        )

    def graded(self, mixer: Mixer, batch: MixBatch) -> tuple[Made, list[Tensor], list[Tensor]]:
        """What is made; gradients of its sum for tables, and for users and positives."""
        copies: dict[str, Any] = {
            name: [x.detach().clone().requires_grad_() for x in getattr(batch, name)]
            for name in ("tables", "users", "positives")
        }
        made = mixer(replace(batch, **copies))
        total = torch.stack([each.square().sum() for each in made.vectors]).sum()
        total = total if made.extra is None else total + made.extra.sum()
        flat = [x for several in copies.values() for x in several]
        found = torch.autograd.grad(total, flat, allow_unused=True)
        graded = [torch.zeros_like(x) if g is None else g for x, g in zip(flat, found, strict=True)]
        return made, graded[: batch.layer_num], graded[batch.layer_num :]

    def check_rows(self, one: Made, other: Made, rows: list[int], why: str) -> None:
        """The same is made for some rows."""
        for a, b in zip(values_of(one), values_of(other), strict=True):
            assert torch.allclose(a[rows], b[rows], rtol=1e-9, atol=1e-12), why

    def _variations(self, name: str) -> Variations:
        if name not in vars(MixerContract):
            return {}
        return {
            ("layer_num", "n"): [(layer_num, n) for layer_num in SEVERAL for n in SEVERAL],
            ("pooling",): [(pooling,) for pooling in POOLINGS],
            ("scale",): [(scale,) for scale in SCALES],
        }

    def test_declaration(self) -> None:
        """Idea, paper, sampler, loss and negatives; parameters with their ranges."""
        mixer = self.make_mixer()
        assert mixer.name
        assert mixer.idea
        assert mixer.paper
        assert mixer.sampler in samplers()
        assert mixer.loss in losses()
        assert mixer.negatives >= 1
        params: Any = mixer.Params
        assert params.__dataclass_params__.frozen, "parameters change"
        assert all(each.metadata.get("help") for each in dataclasses.fields(params))
        assert parse(params, defaults(params), "mixer_args") == params()
        given = as_mapping(mixer.params)
        assert {key: given[key] for key in self.args} == self.args, "it has other parameters"
        assert given["candidate_num"] >= 1, "it does not say how many candidates it mixes"

    def test_registered(self) -> None:
        """Its name gives its class."""
        assert isinstance(self.make_mixer(), get(self.make_mixer().name))

    def test_made(self, layer_num: int, n: int, pooling: str) -> None:
        """Vectors ``(B, K, D)`` a layer, ids ``(B, K, L)`` of own candidates, extra ``(B,)``."""
        for similarity in ("dot", "cosine"):
            batch = replace(self.batch(layer_num, n, pooling=pooling), similarity=similarity)
            made = self.mixer()(batch)
            assert [each.shape for each in made.vectors] == [(ROWS, n, DIM)] * layer_num
            assert made.ids.shape == (ROWS, n, layer_num)
            assert made.extra is None or made.extra.shape == (ROWS,)
            own = (made.ids.unsqueeze(3) == batch.ids.unsqueeze(2)).any(3)
            assert bool(own.all()), "an id is of no candidate of this negative"
            assert not made.ids.is_floating_point()

    def test_finite(self, layer_num: int, n: int, scale: float) -> None:
        """Values and gradients are finite in float32, and near those of float64."""
        wide = self.batch(layer_num, n, scale=scale)
        narrow: dict[str, Any] = {
            name: [x.float() for x in getattr(wide, name)]
            for name in ("users", "positives", "tables")
        }
        found, of_tables, of_rows = self.graded(self.mixer().float(), replace(wide, **narrow))
        for each in (*values_of(found), *of_tables, *of_rows):
            assert bool(each.isfinite().all()), "a NaN, or infinite"
            assert each.dtype in (torch.float32, torch.long)
        for a, b in zip(found.vectors, self.mixer()(wide).vectors, strict=True):
            assert torch.allclose(a.double(), b, rtol=1e-3, atol=1e-3 * scale)

    def test_one_candidate(self, layer_num: int, n: int) -> None:
        """Of one candidate there is no choice."""
        batch = self.batch(layer_num, n)
        batch = replace(batch, ids=batch.ids[..., :1])
        made = self.mixer()(batch)
        assert torch.equal(made.ids, batch.ids.expand(-1, -1, layer_num))

    def test_gradient(self, layer_num: int, n: int, pooling: str) -> None:
        """The gradient is that of the value, by finite differences in float64; weights too."""
        batch = self.batch(layer_num, n, 4, pooling)
        mixer = self.mixer()
        weights = [weight for weight in mixer.parameters() if weight.requires_grad]
        inputs = [*batch.users, *batch.positives, *batch.tables]
        inputs = [x.clone().requires_grad_() for x in inputs]

        def made_of(*values: Tensor) -> tuple[Tensor, ...]:
            users, positives, tables = (
                values[part * layer_num : (part + 1) * layer_num] for part in range(3)
            )
            mixer.begin_epoch(1, SEED)
            made = mixer(replace(batch, users=users, positives=positives, tables=tables))
            return made.vectors if made.extra is None else (*made.vectors, made.extra)

        assert torch.autograd.gradcheck(
            made_of, (*inputs, *weights), atol=1e-6, fast_mode=True, check_batched_grad=False
        )

    def test_rows_are_apart(self, layer_num: int, n: int) -> None:
        """What is made for a row does not depend on the others."""
        batch, other = self.batch(layer_num, n), self.batch(layer_num, n, 8)
        ids, users, positives = batch.ids.clone(), [*batch.users], [*batch.positives]
        ids[0] = other.ids[0]
        for layer in range(layer_num):
            users[layer] = torch.cat((other.users[layer][:1], users[layer][1:]))
            positives[layer] = torch.cat((other.positives[layer][:1], positives[layer][1:]))
        changed = replace(batch, ids=ids, users=users, positives=positives)
        plain, found = self.mixer()(batch), self.mixer()(changed)
        self.check_rows(plain, found, [1, 2, 3, 4], "rows see one another")

    def test_negatives_are_apart(self, layer_num: int, n: int) -> None:
        """What is made of a negative's candidates does not depend on those of the others."""
        if n == 1:
            return
        batch, other = self.batch(layer_num, n), self.batch(layer_num, n, 8)
        ids = batch.ids.clone()
        ids[:, 0] = other.ids[:, 0]
        plain, found = self.mixer()(batch), self.mixer()(replace(batch, ids=ids))
        assert torch.equal(plain.ids[:, 1:], found.ids[:, 1:])
        for a, b in zip(plain.vectors, found.vectors, strict=True):
            assert torch.allclose(a[:, 1:], b[:, 1:]), "negatives see one another"

    def test_order_of_candidates(self, layer_num: int, n: int) -> None:
        """The order of candidates does not matter."""
        batch = self.batch(layer_num, n)
        plain, found = self.mixer()(batch), self.mixer()(replace(batch, ids=batch.ids.flip(2)))
        self.check_rows(plain, found, [*range(ROWS)], "the order of candidates matters")

    def test_others_have_no_gradient(self, layer_num: int, n: int) -> None:
        """Items that no negative was made of have no gradient; the users have no history here."""
        batch = replace(self.batch(layer_num, n), user_ids=None)
        made, of_tables, _ = self.graded(self.mixer(), batch)
        for layer, gradient in enumerate(of_tables):
            free = torch.ones(len(gradient), dtype=torch.bool, device=gradient.device)
            free[made.ids[..., layer].flatten()] = False
            assert not bool(gradient[free].any()), "an item that was not chosen has a gradient"

    def test_draws_follow_from_seed_and_epoch(self, layer_num: int, n: int) -> None:
        """An epoch that is begun again draws the same; the state that is saved holds no draws."""
        mixer, batch = self.mixer(), self.batch(layer_num, n)
        first = mixer(batch)
        mixer(batch)
        mixer.begin_epoch(1, SEED)
        self.check_rows(mixer(batch), first, [*range(ROWS)], "it drew other numbers")

    def test_restored_state_continues(self, layer_num: int, n: int) -> None:
        """A saved state, loaded into another mixer, makes the same negatives."""
        mixer, fresh, batch = self.mixer(), self.make_mixer().double(), self.batch(layer_num, n)
        file = io.BytesIO()
        torch.save(mixer.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file, weights_only=True))
        for each in (mixer, fresh):
            each.begin_epoch(2, SEED)
        for a, b in zip(values_of(mixer(batch)), values_of(fresh(batch)), strict=True):
            assert torch.equal(a, b), "a restored mixer is another one"

    def test_nothing_else_changes(self, layer_num: int, n: int) -> None:
        """The batch stays as it was, no global generator moves, nothing kept belongs to a graph."""
        mixer, batch = self.make_mixer().double(), self.batch(layer_num, n)
        seen = [batch.ids, *batch.users, *batch.positives, *batch.tables]
        copies = [x.clone() for x in seen]
        before = generator_states()
        mixer.begin_epoch(1, SEED)
        self.graded(mixer, batch)
        assert all(map(torch.equal, seen, copies))
        assert generator_states() == before
        kept = [x for module in mixer.modules() for x in vars(module).values()]
        graphs = [x for x in (*kept, *mixer.buffers()) if isinstance(x, Tensor) and x.requires_grad]
        assert not [x for x in graphs if not isinstance(x, nn.Parameter)], "it keeps a graph"


def values_of(made: Made) -> list[Tensor]:
    """All that is made."""
    return [*made.vectors, made.ids, *([] if made.extra is None else [made.extra])]
