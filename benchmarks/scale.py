"""How the cost of drawing grows: items, users, interactions, candidates. The core alone, no model.

    python benchmarks/scale.py                      # everything, about five minutes
    python benchmarks/scale.py --parts build        # 10^6 x 10^6 with 5 * 10^7 interactions
    python benchmarks/scale.py --parts prior        # EASE of bns_plus: 50,000 items, 10^7 pairs
    python benchmarks/scale.py --json scale.json

Interactions and vectors are generated: 50 interactions a user, item popularity by a power law,
64 dimensions, batches of 2048 positives. Drawing only: no loss, no optimiser. Sizes that are
compared take turns, batch by batch, so that a noisy machine disturbs them alike; means are
printed, since what is drawn ahead is paid for in one batch of many.
Each size of ``build`` runs in a process of its own, whose peak memory counts everything:
Python, torch, the interactions, the catalogue and the sampler.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from recbole_bns.sampling import Catalogue, FactorScorer, NegativeSampler, build
from recbole_bns.sampling.priors.item_models import Ridge, neighbour_ease

BATCH, SIZE, EACH = 2048, 64, 50
SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rns": ("rns", {}),
    "pns": ("pns", {}),
    "dns5": ("dns", {"candidate_num": 5}),
    "ahns32": ("ahns", {}),
    "srns8+8": ("srns", {"memory_num": 8, "new_num": 8, "warmup_epochs": 1}),
    "aobpr-factor": ("aobpr", {}),
    "bns-estimated": ("bns", {"cdf": "estimated", "cdf_items": 256}),
}
BUILDS = [(10_000, 10_000), (100_000, 100_000), (1_000_000, 1_000_000)]
"""Users and items."""


def interactions(users: int, items: int) -> tuple[Tensor, Tensor]:
    """``EACH`` interactions a user, popularity falling as a power of the rank: two (N,) int64."""
    rng = np.random.default_rng(0)
    owners = torch.arange(1, users + 1).repeat_interleave(EACH)
    chosen = torch.empty(users * EACH, dtype=torch.long)
    for part in chosen.split(1_000_000):
        u = rng.random(len(part), dtype=np.float32)
        part.copy_(torch.from_numpy((items * u**2.5).astype(np.int64)).clamp_(max=items - 1) + 1)
    return owners, chosen


def build_once(users: int, items: int) -> dict[str, Any]:
    """Seconds to build catalogue and samplers, and this process's peak memory."""
    owners, chosen = interactions(users, items)
    start = perf_counter()
    catalogue = Catalogue(owners, chosen, users + 1, items + 1)
    middle = perf_counter()
    sampler = build("bns", catalogue, {"cdf": "estimated"}, seed=0)
    end = perf_counter()
    assert sampler.catalogue.negative_num[1] > 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "users": users,
        "items": items,
        "interactions": len(owners),
        "catalogue_s": middle - start,
        "sampler_s": end - middle,
        "peak_gib": peak,
    }


def prior_once(users: int, items: int, k: int) -> dict[str, Any]:
    """Seconds to learn the prior of ``bns_plus``, and this process's peak memory."""
    owners, chosen = interactions(users, items)
    catalogue = Catalogue(owners, chosen, users + 1, items + 1)
    start = perf_counter()
    neighbour_ease(catalogue, Ridge(300.0), k)
    return {
        "users": users,
        "items": items,
        "interactions": len(owners),
        "neighbours": k,
        "prior_s": perf_counter() - start,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


class Case:
    """A sampler with vectors and positives, timed a batch at a time."""

    def __init__(self, sampler: NegativeSampler, scorer: FactorScorer, pairs: Tensor) -> None:
        self.sampler, self.scorer, self.pairs = sampler, scorer, pairs
        self.seconds: list[float] = []
        for epoch in range(3):
            sampler.begin_epoch(epoch, scorer)
            sampler.sample(*pairs[:, :BATCH].clone(), 1, scorer)
        self.announced = sampler.announce(pairs[0])

    def step(self, number: int) -> None:
        """Draw for one batch."""
        first, end = number * BATCH, (number + 1) * BATCH
        users, items = self.pairs[:, first:end]
        start = perf_counter()
        with self.announced.rows(first, end, users):
            self.sampler.sample(users, items, 1, self.scorer)
        self.seconds.append(perf_counter() - start)

    @property
    def cost(self) -> float:
        """Microseconds a positive, what is drawn ahead included."""
        return 1e6 * statistics.fmean(self.seconds) / BATCH


def world(users: int, items: int, batches: int) -> tuple[Catalogue, FactorScorer, Tensor]:
    """A catalogue, vectors, and positives in random order (2, batches * BATCH)."""
    owners, chosen = interactions(users, items)
    catalogue = Catalogue(owners, chosen, users + 1, items + 1, bitmap=False)
    generator = torch.Generator().manual_seed(0)
    order = torch.randint(0, len(owners), (batches * BATCH,), generator=generator)
    vectors = (torch.randn(n + 1, SIZE, generator=generator) / 8 for n in (users, items))
    return catalogue, FactorScorer(*vectors), torch.stack((owners[order], chosen[order]))


def measure(make: dict[str, Callable[[], Case]], batches: int) -> dict[str, float]:
    """Microseconds a positive of each case; they take turns."""
    cases = {name: one() for name, one in make.items()}
    for number in range(batches):
        for case in cases.values():
            case.step(number)
    return {name: case.cost for name, case in cases.items()}


def by_items(batches: int) -> dict[str, Any]:
    """Microseconds a positive at 10^4, 10^5 and 10^6 items, 10^5 users, lists and no bit table."""
    worlds = {items: world(100_000, items, batches) for items in (10_000, 100_000, 1_000_000)}
    found: dict[str, Any] = {}
    for name, (method, args) in SAMPLERS.items():
        make = {
            f"{items:.0e}": lambda w=w, m=method, a=args: Case(build(m, w[0], a, seed=0), *w[1:])
            for items, w in worlds.items()
        }
        found[name] = measure(make, batches)
        print(f"by items: {name}", file=sys.stderr)
    return found


def by_candidates(batches: int) -> dict[str, Any]:
    """Microseconds a positive with 5 to 500 candidates, 10^5 users, 10^5 items."""
    catalogue, scorer, pairs = world(100_000, 100_000, batches)
    found: dict[str, Any] = {}
    for name in ("dns", "ahns", "bns"):
        more = {"cdf": "estimated"} if name == "bns" else {}
        make = {
            str(m): lambda n=name, a={**more, "candidate_num": m}: Case(
                build(n, catalogue, a, seed=0), scorer, pairs
            )
            for m in (5, 16, 50, 160, 500)
        }
        found[name] = measure(make, batches)
        print(f"by candidates: {name}", file=sys.stderr)
    return found


def in_child(*numbers: int) -> dict[str, Any]:
    """:func:`build_once` or :func:`prior_once` in a process of its own."""
    command = [sys.executable, __file__, "--child", *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(" x ".join(map(str, numbers)), file=sys.stderr)
    return dict(json.loads(done.stdout))


def main() -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = ["build", "items", "candidates"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=[*parts, "prior"])
    parser.add_argument("--batches", type=int, default=128, help="batches a case")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs="+", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        once = build_once if len(options.child) == 2 else prior_once
        print(json.dumps(once(*options.child)))
        return 0
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }
    if "prior" in options.parts:
        result["prior"] = [in_child(200_000, 50_000, k) for k in (50, 100, 200)]
        print(tabulate(result["prior"], "keys", tablefmt="github", floatfmt=".2f", intfmt=","))
    if "build" in options.parts:
        result["build"] = [in_child(*sizes) for sizes in BUILDS]
        print("\nBuilding catalogue and sampler (bns, estimated)\n")
        print(tabulate(result["build"], "keys", tablefmt="github", floatfmt=".2f", intfmt=","))
    for part, table in (("items", by_items), ("candidates", by_candidates)):
        if part in options.parts:
            result[part] = table(options.batches)
            print(f"\nMicroseconds a positive by {part}\n")
            rows = [[name, *costs.values()] for name, costs in result[part].items()]
            heads = ["sampler", *next(iter(result[part].values()))]
            print(tabulate(rows, heads, tablefmt="github", floatfmt=".2f"))
    if "items" in options.parts:
        costs = result["items"]["bns-estimated"]
        ratio = costs["1e+06"] / costs["1e+04"]
        print(f"\nbns-estimated, 10^6 ÷ 10^4 items: {ratio:.2f}, at most 1.5")
    if "build" in options.parts:
        last = result["build"][-1]
        seconds = last["catalogue_s"] + last["sampler_s"]
        print(f"largest build: {seconds:.1f} s, at most 60; {last['peak_gib']:.2f} GiB, at most 4")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
