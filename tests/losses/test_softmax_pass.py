"""The fused softmax pass against the losses that it stands for, and against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_bns.losses import LossBatch, build, mean_over_rows, softmax_pass
from recbole_bns.losses.softmax_pass import SoftmaxForm

ROWS, LENGTH, DIM, ITEMS = 23, 17, 5, 30
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("ssm", {}),
    ("ssm", {"temperature": "auto"}),
    ("ssm", {"temperature": 0.7, "reduction": "sum"}),
    ("sl", {"temperature": 0.3}),
    ("bsl", {"temperature": 0.3, "negative_weight": 1.3}),
]


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of seven rows, so that the last of the batch is a shorter one."""
    monkeypatch.setattr(softmax_pass, "SCORES_AT_ONCE", 7 * LENGTH)
    monkeypatch.setattr(softmax_pass, "FEWEST_ROWS", 1)


def inputs(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> dict[str, Tensor]:
    """Vectors, which rows have no term left in, and logarithms of probabilities."""
    source = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=source, dtype=torch.float64) * scale).to(dtype)

    mask = torch.rand(ROWS, LENGTH, generator=source) < 0.3
    mask[4] = mask[-1] = True  # nothing is left in
    return {
        "queries": normal(ROWS, DIM),
        "positives": normal(ROWS, DIM),
        "negatives": normal(LENGTH, DIM),
        "mask": mask,
        "log_q": torch.rand(LENGTH, generator=source, dtype=torch.float64).log().to(dtype),
        "pos_log_q": torch.rand(ROWS, generator=source, dtype=torch.float64).log().to(dtype),
    }


def leaving_out(mask: Tensor) -> Callable[[Tensor, slice], None]:
    """What the pass is given to take terms out."""

    def leave_out(scores: Tensor, rows: slice) -> None:
        scores.masked_fill_(mask[rows], float("-inf"))

    return leave_out


def leaves(given: dict[str, Tensor]) -> list[Tensor]:
    names = ("queries", "positives", "negatives")
    return [given[name].clone().requires_grad_() for name in names]


def passed(form: SoftmaxForm, given: dict[str, Tensor], log_q: str, masked: bool) -> Any:
    vectors = leaves(given)
    loss = softmax_pass.softmax_pass(
        *vectors,
        form,
        leave_out=leaving_out(given["mask"]) if masked else None,
        log_q=None if log_q == "none" else given["log_q"],
        pos_log_q=given["pos_log_q"] if log_q == "both" else None,
    )
    (3 * loss).backward()  # a gradient that comes back is a factor
    return loss.detach(), [vector.grad for vector in vectors]


def plain(
    name: str, args: dict[str, Any], given: dict[str, Tensor], log_q: str, masked: bool
) -> Any:
    vectors = leaves(given)
    queries, positives, negatives = vectors
    batch = LossBatch(
        pos=(queries * positives).sum(1),
        neg=queries @ negatives.T,
        users=torch.arange(ROWS),
        items=torch.ones(ROWS, dtype=torch.long),
        ids=torch.arange(LENGTH),
        item_num=ITEMS,
        mask=given["mask"] if masked else None,
        log_q=given["log_q"],
        pos_log_q=given["pos_log_q"],
        log_q_form=log_q,
    )
    loss = mean_over_rows(build(name, args)(batch), None)
    (3 * loss).backward()
    return loss.detach(), [vector.grad for vector in vectors]


def form_of(name: str, args: dict[str, Any]) -> SoftmaxForm:
    form = build(name, args).softmax_form(ITEMS)
    assert form is not None
    return form


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("log_q", ["none", "negatives", "both"])
@pytest.mark.parametrize(("name", "args"), FORMS)
def test_value_and_gradients_are_those_of_the_loss(
    name: str, args: dict[str, Any], log_q: str, masked: bool, dtype: torch.dtype
) -> None:
    """In float32 by the compiled loop, where there is one."""
    given = inputs(dtype)
    found, mine = passed(form_of(name, args), given, log_q, masked)
    expected, gradients = plain(name, args, given, log_q, masked)
    assert float(expected.abs()) > 0.1
    torch.testing.assert_close(found, expected)
    for one, other in zip(mine, gradients, strict=True):
        assert other.abs().max() > 1e-3
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "args"), FORMS)
def test_the_compiled_loop_has_a_twin(
    monkeypatch: pytest.MonkeyPatch, name: str, args: dict[str, Any]
) -> None:
    given, form = inputs(torch.float32, scale=3.0), form_of(name, args)
    logits = (given["queries"] @ given["negatives"].T).masked_fill(given["mask"], float("-inf"))
    positive, found = given["pos_log_q"], []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(softmax_pass.engine, "available", lambda *_: False)
        scores = logits.clone()
        found.append((*softmax_pass.softmax(scores, positive, form, 0.25), scores))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert bool((found[0][0][4] == 0) & (found[0][2][4] == 0).all())


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("name", "args"), FORMS)
def test_gradients_are_finite_differences(name: str, args: dict[str, Any], masked: bool) -> None:
    given = inputs()
    form, leave_out = form_of(name, args), leaving_out(given["mask"]) if masked else None

    def loss(*vectors: Tensor) -> Tensor:
        return softmax_pass.softmax_pass(
            *vectors,
            form,
            leave_out=leave_out,
            log_q=given["log_q"],
            pos_log_q=given["pos_log_q"],
        )

    assert torch.autograd.gradcheck(loss, leaves(given), fast_mode=True)


@pytest.mark.parametrize(("name", "args"), FORMS)
def test_a_batch_without_a_term_has_loss_0_and_moves_nothing(
    name: str, args: dict[str, Any]
) -> None:
    given = inputs()
    given["mask"][:] = True
    loss, gradients = passed(form_of(name, args), given, "none", masked=True)
    assert float(loss) == 0
    assert all(bool((gradient == 0).all()) for gradient in gradients)


@pytest.mark.parametrize(("name", "_"), FORMS)
def test_great_scores_and_a_low_temperature_stay_finite(name: str, _: dict[str, Any]) -> None:
    given = inputs(torch.float32, scale=60.0)
    assert (given["queries"] @ given["negatives"].T).abs().max() > 1e4
    args = {"temperature": 0.01}
    found, mine = passed(form_of(name, args), given, "none", masked=True)
    expected, gradients = plain(name, args, given, "none", masked=True)
    assert bool(expected.isfinite())
    torch.testing.assert_close(found, expected)
    for one, other in zip(mine, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)


def test_shares_of_a_batch_add_up_to_the_whole() -> None:
    """As several processes have them: each weighs its loss by its share of the rows."""
    for name, args in FORMS:
        given, form = inputs(), form_of(name, args)
        vectors = [given[key] for key in ("queries", "positives", "negatives")]
        whole = softmax_pass.softmax_pass(*vectors, form)
        total = 0.0
        for rows in (slice(0, 9), slice(9, ROWS)):
            part = [vectors[0][rows], vectors[1][rows], vectors[2]]
            share = softmax_pass.softmax_pass(*part, form, row_num=ROWS)
            total = total + share * len(part[0]) / ROWS
        torch.testing.assert_close(whole, total)


def test_nothing_of_the_size_of_all_scores_is_kept() -> None:
    """Beside its inputs' gradients and one block the pass holds nothing that grows with B x n."""
    rows, length = 400, 500
    vectors = [torch.randn(size, 4, requires_grad=True) for size in (rows, rows, length)]
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        softmax_pass.softmax_pass(*vectors, SoftmaxForm(0.2, with_positive=True))
    assert kept == [4 * rows, 4 * rows, 4 * length]
