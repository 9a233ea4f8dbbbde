"""The step of plain BPR in one pass against autograd's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from recbole_bns.losses.bpr_pass import GradientMemory, bpr_pass
from recbole_bns.sampling.kernels import engine

pytestmark = pytest.mark.skipif(not engine.available(), reason="numba is missing or off")

USERS, ITEMS, SIZE, ROWS = 23, 31, 6, 200
GAMMA = 1e-10


@pytest.fixture(params=[1, 2, 3], autouse=True)
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    monkeypatch.setattr(engine, "SPREAD_FROM", 0)
    yield
    torch.set_num_threads(before)


def tables(scale: float = 1.0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(3)
    users = torch.randn(USERS, SIZE, generator=source) * scale
    items = torch.randn(ITEMS, SIZE, generator=source) * scale
    return users.requires_grad_(), items.requires_grad_()


def triples() -> tuple[Tensor, Tensor, Tensor]:
    """Some users and items several times, an item as both, many rows not at all."""
    source = torch.Generator().manual_seed(4)
    users = torch.randint(0, USERS // 2, (ROWS,), generator=source)
    both = torch.randint(0, ITEMS - 7, (2, ROWS), generator=source)
    both[1, 0] = both[0, 0]
    return users, both[0], both[1]


def by_autograd(users: Tensor, items: Tensor, reg_weight: float) -> Tensor:
    """RecBole's BPRLoss and the batch L2, in the tables' own precision."""
    of, positive, negative = triples()
    u, p, n = users[of], items[positive], items[negative]
    margin = (u * p).sum(1) - (u * n).sum(1)
    loss = -torch.log(GAMMA + torch.sigmoid(margin)).mean()
    squares = u.square().sum() + p.square().sum() + n.square().sum()
    return loss + reg_weight * squares / (2 * ROWS)


@pytest.mark.parametrize("scale", [0.01, 1.0, 6.0])
@pytest.mark.parametrize("reg_weight", [0.0, 0.7])
def test_loss_and_gradients_are_autograds(scale: float, reg_weight: float) -> None:
    users, items = tables(scale)
    exact = [table.detach().double().requires_grad_() for table in (users, items)]
    wanted = by_autograd(exact[0], exact[1], reg_weight)
    (3 * wanted).backward()
    loss = bpr_pass(users, items, triples(), GradientMemory(), gamma=GAMMA, reg_weight=reg_weight)
    (3 * loss).backward()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)
    for table, other in zip((users, items), exact, strict=True):
        assert table.grad is not None
        assert other.grad is not None
        atol = 1e-6 * float(other.grad.abs().max())
        assert torch.allclose(table.grad.double(), other.grad, rtol=1e-4, atol=atol)
    assert not users.grad[USERS // 2 :].any(), "of users who are not in the batch"


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    drawn = []
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        users, items = tables()
        bpr_pass(users, items, triples(), GradientMemory(), reg_weight=0.1).backward()
        drawn += [(users.grad, items.grad)]
    assert all(torch.equal(*pair) for pair in zip(*drawn, strict=True))


def test_memory_is_used_again_but_not_while_somebody_holds_it() -> None:
    users, items = tables()
    memory = GradientMemory()

    def gradient() -> Tensor:
        users.grad = items.grad = None
        bpr_pass(users, items, triples(), memory).backward()
        assert users.grad is not None
        return users.grad

    place = gradient().data_ptr()
    assert gradient().data_ptr() == place
    kept = gradient()
    before = kept.clone()
    with torch.no_grad():
        users.mul_(2)
    assert gradient().data_ptr() != kept.data_ptr()
    assert torch.equal(kept, before)


def test_gradients_of_several_batches_add_up() -> None:
    users, items = tables()
    memory = GradientMemory()
    bpr_pass(users, items, triples(), memory).backward()
    once = items.grad.clone()
    bpr_pass(users, items, triples(), memory).backward()
    assert torch.equal(items.grad, 2 * once)


def test_a_margin_beyond_float32_stays_finite_and_a_nan_shows() -> None:
    users, items = tables(200.0)
    loss = bpr_pass(users, items, triples(), GradientMemory(), gamma=GAMMA)
    loss.backward()
    assert loss.isfinite()
    assert items.grad.isfinite().all()
    with torch.no_grad():
        users[0, 0] = torch.nan
    assert bpr_pass(users, items, triples(), GradientMemory(), gamma=GAMMA).isnan()
