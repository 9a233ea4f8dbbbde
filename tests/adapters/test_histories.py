"""What each user has had, read back from RecBole's rows: against the lists the rows are made of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import given
from hypothesis import settings as of_hypothesis
from hypothesis import strategies as st

from recbole_bns.adapters.histories import histories_of, padded

LENGTH = 4
LISTS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=6)


def part_of(rows: list[tuple[int, int, int, list[int]]], user_num: int) -> Any:
    """A part as RecBole's sequential data sets are: user, time, item, what came before it."""
    past = torch.zeros(len(rows), LENGTH, dtype=torch.long)
    for place, (_, _, _, before) in enumerate(rows):
        past[place, : len(before)] = torch.tensor(before, dtype=torch.long)
    feat = {
        "user": torch.tensor([row[0] for row in rows], dtype=torch.long),
        "time": torch.tensor([float(row[1]) for row in rows]),
        "item": torch.tensor([row[2] for row in rows], dtype=torch.long),
        "items": past,
        "length": torch.tensor([len(row[3]) for row in rows], dtype=torch.long),
    }
    return SimpleNamespace(
        user_num=user_num,
        inter_feat=feat,
        uid_field="user",
        iid_field="item",
        time_field="time",
        item_id_list_field="items",
        item_list_length_field="length",
    )


@of_hypothesis(max_examples=40, deadline=None)
@given(LISTS, st.randoms(use_true_random=False))
def test_histories_are_the_lists_that_the_rows_were_made_of(lists, draw):
    """The last two rows of each user are held out; rows of a part are in any order."""
    parts: dict[str, list[Any]] = {"train": [], "valid": [], "test": []}
    for user, items in enumerate(lists, 1):
        rows = [(user, n, items[n], items[max(n - LENGTH, 0) : n]) for n in range(1, len(items))]
        parts["test"] += rows[-1:]
        parts["valid"] += rows[-2:-1]
        parts["train"] += rows[:-2]
    for rows in parts.values():
        draw.shuffle(rows)
    made = {phase: part_of(rows, len(lists) + 1) for phase, rows in parts.items()}
    whole, before = (histories_of(made, LENGTH, until) for until in ("all", "train"))
    for user, items in enumerate(lists, 1):
        known = len(items) > 1  # RecBole has no row of a single interaction
        held_out = min(2, len(items) - 1)
        for held, wanted in ((whole, items), (before, items[: len(items) - held_out])):
            found = held.items[user, : held.lengths[user]].tolist()
            assert found == (wanted[-LENGTH:] if known else [])
            assert held.items[user, held.lengths[user] :].tolist() == [0] * (LENGTH - len(found))
    assert int(whole.lengths[0]) == 0


def test_lists_of_anybody_are_cut_to_their_end():
    held = padded([torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([7])], LENGTH)
    assert held.items.tolist() == [[3, 4, 5, 6], [7, 0, 0, 0]]
    assert held.lengths.tolist() == [4, 1]
