"""Time what a trained model answers, and how well it knows people who were not in training.

    python benchmarks/serving.py                               # 100,000 users x 20 of 50,000 items
    python benchmarks/serving.py --users 20000 --threads 1
    python benchmarks/serving.py --folding runs/A runs/B       # the ridge solve, by regularisation

The first makes a model with drawn vectors (d 64) and 50 interactions a user: what is timed is
scoring, masking, ranking and the table, with nothing read from disk. Seconds of the clock are those
of a free machine alone; those of the CPU, of all threads together, hardly differ beside other work.

The second leaves every user of a run out of the vectors, solves for them by their training items
(``recommend_for_history``), and compares NDCG@10 on the test part with that of the trained vectors,
and with the mean of the vectors of the history: what the default regularisation was chosen by.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import nn

import recbole_bns
from recbole_bns.training.folding import folded
from recbole_bns.training.trained import Trained

HEADS = ("question", "lines", "seconds", "CPU seconds")
GRID = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 1e6)
"""Regularisations; with the last the mean of the history's vectors is pointed to."""


def made(users: int, items: int, width: int, each: int) -> recbole_bns.Model:
    """A model of drawn vectors, whose users have had ``each`` items."""
    from recbole.model.abstract_recommender import GeneralRecommender

    class Made(GeneralRecommender):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.user = nn.Embedding(users + 1, width)
            self.item = nn.Embedding(items + 1, width)

    @recbole_bns.factors.register(Made)
    def _(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return model.user.weight, model.item.weight

    torch.manual_seed(0)
    part = SimpleNamespace(
        user_num=users + 1,
        item_num=items + 1,
        uid_field="user_id",
        iid_field="item_id",
        field2id_token={
            "user_id": [f"u{number}" for number in range(users + 1)],
            "item_id": [f"i{number}" for number in range(items + 1)],
        },
        inter_feat={
            "user_id": torch.arange(1, users + 1).repeat_interleave(each),
            "item_id": torch.randint(1, items + 1, (users * each,)),
        },
    )
    config: Any = {"device": torch.device("cpu"), "model": "Made", "dataset": "made"}
    return recbole_bns.Model(Trained(config, Made(), {"train": part}))


def serve(options: argparse.Namespace) -> str:
    """Seconds of each question, as a table."""
    model = made(options.users, options.items, options.width, options.each)
    names = model.items
    questions = {
        f"recommend: {options.users:,} users x {options.k}": lambda: model.recommend(k=options.k),
        f"the same, only {options.items // 100:,} items": lambda: model.recommend(
            k=options.k, only=names[: options.items // 100]
        ),
        "similar_items: 10,000 items x 20": lambda: model.similar_items(names[:10_000]),
        "score: 1,000,000 pairs": lambda: model.score(
            model.users[:1000] * 1000, np.repeat(names[:1000], 1000)
        ),
        "recommend_for_history: 1,000 of 20 items": lambda: model.recommend_for_history(
            [names[start : start + 20] for start in range(1000)]
        ),
    }
    rows = []
    for name, ask in questions.items():
        start, used = perf_counter(), process_time()
        answer = ask()
        spent = perf_counter() - start, process_time() - used
        rows.append((name, len(answer), *(f"{seconds:.1f}" for seconds in spent)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    head = f"{options.items:,} items, d {options.width}, {torch.get_num_threads()} threads"
    return f"{head}, peak {peak:.1f} GiB\n\n{tabulate(rows, HEADS)}"


def folding(folder: Path) -> str:
    """NDCG@10 of the trained vectors and of folded ones, of a run."""
    model = recbole_bns.load(folder)
    users, items = (
        torch.nn.functional.pad(torch.from_numpy(each.to_numpy()), (0, 0, 1, 0))
        for each in (model.user_vectors, model.item_vectors)
    )
    had, wanted, known = (membership(model, phase) for phase in ("train", "test", "valid"))
    who = had.any(1) & wanted.any(1)
    lists = [row.nonzero().squeeze(1) for row in had[who]]
    masked = (had | known)[who]

    def ndcg(vectors: torch.Tensor) -> str:
        scores = (vectors @ items.T).masked_fill(masked, -torch.inf)
        scores[:, 0] = -torch.inf
        hits = wanted[who].gather(1, scores.topk(10).indices).float()
        gains = 1 / torch.log2(torch.arange(2.0, 12.0))
        best = gains.cumsum(0)[wanted[who].sum(1).clamp(max=10) - 1]
        return f"{float(((hits * gains).sum(1) / best).mean()):.4f}"

    rows = [("trained", ndcg(users[who]))]
    rows += [(f"regularisation {each:g}", ndcg(folded(lists, items, each))) for each in GRID]
    return f"{model}\n\n{tabulate(rows, ('vectors', 'ndcg@10'), disable_numparse=True)}"


def membership(model: recbole_bns.Model, phase: str) -> torch.Tensor:
    """Who has had what in a part: bool (U, I)."""
    part = model.trained.parts[phase]
    table = torch.zeros(part.user_num, part.item_num, dtype=torch.bool)
    table[part.inter_feat[part.uid_field], part.inter_feat[part.iid_field]] = True
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--each", type=int, default=50, help="interactions a user")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--threads", type=int, help="of PyTorch")
    parser.add_argument("--folding", type=Path, nargs="+", metavar="RUN")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.folding:
        print("\n\n".join(map(folding, options.folding)))
    else:
        print(serve(options))


if __name__ == "__main__":
    main()
