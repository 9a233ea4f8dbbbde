"""Print hashes of what trainings come to, so that a move of the code can be shown to change no bit.

    python scripts/golden_bits.py > before.txt      # on the old commit
    python scripts/golden_bits.py > after.txt       # on the new one
    diff before.txt after.txt

Every sampler with BPR and LightGCN, RecBole's own sampling, a few other models and settings, a run
that is ended and resumed, and one comparison: one thread, fixed seeds, on a tiny data set of its
own. Times, paths and versions are left out of what is hashed. Only public calls are made, so
that the script runs unchanged on either side of the move.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SAMPLERS = (
    "ahns",
    "aobpr",
    "bns",
    "bns_plus",
    "dns",
    "pns",
    "rns",
    "srns",
    "inbatch",
    "mixed",
    "all",
    "cuco",
    "irgan",
    "rns_as",
    "advir",
    "given",
)
NEEDED: dict[str, dict[str, Any]] = {"all": {"loss": "ssm"}, "given": {"negatives": "skips.neg"}}
"""Samplers that need a loss over many negatives, or pairs that were shown and not taken."""
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("BPR", {"neg_sampler": "none"}),
    "none LightGCN": ("LightGCN", {"neg_sampler": "none"}),
    "L2": ("BPR", {"neg_sampler": "dns", "reg_weight": 0.1}),
    "three negatives": ("BPR", {"neg_sampler": "bns", "neg_sample_num": 3}),
    "estimated": (
        "BPR",
        {
            "neg_sampler": "bns",
            "neg_sampler_args.cdf": "estimated",
            "neg_sampler_args.cdf_items": 20,
        },
    ),
    "occupation": ("BPR", {"neg_sampler": "bns", "neg_sampler_args.prior": "occupation"}),
    "oracle": ("BPR", {"neg_sampler": "bns", "neg_sampler_args.prior": "oracle"}),
    "schedule": (
        "BPR",
        {
            "neg_sampler": "bns",
            "neg_sampler_args.lambda": {"start": 10, "step": -1, "stop": 2},
            "neg_sampler_args.warmup_epochs": 1,
        },
    ),
    "model as prior": (
        "BPR",
        {"neg_sampler": "bns_plus", "neg_sampler_args.prior": {"model": "SLIMElastic"}},
    ),
    "easy to hard": ("BPR", {"neg_sampler": "cuco", "neg_sampler_args.schedule": "grow"}),
    "uniform pick": ("BPR", {"neg_sampler": "srns", "neg_sampler_args.pick": "uniform"}),
    "generator of all items": (
        "BPR",
        {
            "neg_sampler": "irgan",
            "neg_sampler_args.pretrain_epochs": 0,
            "neg_sampler_args.tested": "generator",
        },
    ),
    "generator and perturbations": (
        "LightGCN",
        {"neg_sampler": "advir", "neg_sampler_args.pretrain_epochs": 0},
    ),
    "global ranks": ("BPR", {"neg_sampler": "aobpr", "neg_sampler_args.definition": "global"}),
    "pairs": ("NeuMF", {"neg_sampler": "dns"}),
    "all scores": ("NGCF", {"neg_sampler": "bns"}),
    "sequences": (
        "GRU4Rec",
        {
            "neg_sampler": "dns",
            "loss_type": "BPR",
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        },
    ),
    "uni100": ("BPR", {"neg_sampler": "rns", "eval_args.mode": "uni10"}),
    "schedule of rates": ("BPR", {"neg_sampler": "rns", "lr_schedule": {"step_size": 1}}),
    "no validation": ("BPR", {"neg_sampler": "rns", "valid_ratio": 0}),
    "recorded": ("BPR", {"neg_sampler": "bns", "neg_record": True, "neg_record_scores": [1, 3]}),
}
RECBOLES_STEP = (
    {"fused_step": False}
    if "fused_step" in (ROOT / "properties" / "overall.yaml").read_text(encoding="utf-8")
    else {}
)
"""The lines are those of RecBole's own step, but for the last ones."""
LEFT_OUT = {
    "train_epoch_seconds",
    "run_dir",
    "checkpoint",
    "versions",
    "train_seconds",
    "sampling_share",
    "recording_share",
    "seconds_to_best",
    "loss",
    "prior_calibration",
    "given_share",
}  # prior_calibration: a parameter that has gone; loss, given_share: younger than the hashes


def write_data(folder: Path) -> None:
    """40 users x 60 items, 22 interactions a user, features of users."""
    source = np.random.default_rng(7)
    place = folder / "tiny"
    place.mkdir(parents=True)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(40):
        weights = np.where(np.arange(60) % 2 == user % 2, 4.0, 1.0) / np.arange(1, 61) ** 0.4
        for item in source.choice(60, 22, replace=False, p=weights / weights.sum()):
            lines.append(f"u{user}\ti{item}\t{source.integers(1, 6)}\t{len(lines)}")
    (place / "tiny.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    jobs = ("artist", "doctor", "farmer")
    users = ["user_id:token\toccupation:token", *(f"u{u}\t{jobs[u % 3]}" for u in range(40))]
    (place / "tiny.user").write_text("\n".join(users) + "\n", encoding="utf-8")
    skips = [f"u{user}\ti{(7 * user + step) % 60}" for user in range(40) for step in range(5)]
    text = "\n".join(["user_id:token\titem_id:token", *skips]) + "\n"
    (folder.parent / "skips.neg").write_text(text, encoding="utf-8")


def fed(digest: Any, value: Any) -> None:
    """Feed a value of a checkpoint, a result or a table to a digest."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        dense = value.to_dense() if value.layout != torch.strided else value
        digest.update(f"{dense.dtype}{tuple(dense.shape)}".encode())
        digest.update(dense.contiguous().numpy().tobytes())
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}{value.tolist()}".encode())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            if key not in LEFT_OUT:
                digest.update(f"{key}:".encode())
                fed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for entry in value:
            fed(digest, entry)
    else:
        digest.update(repr(value).encode())


def hash_of(value: Any) -> str:
    """16 hex digits of any value that :func:`fed` takes."""
    digest = hashlib.sha256()
    fed(digest, value)
    return digest.hexdigest()[:16]


def rows_of(path: Path) -> list[dict[str, str]]:
    """Lines of a CSV file as mappings."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def tell(title: str, folder: Path) -> None:
    """Print the hashes of what a run left in its folder."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    weights = next(
        p for p in (folder / "checkpoints" / n for n in ("best.pt", "last.pt")) if p.is_file()
    )
    state = torch.load(weights, weights_only=True)
    parts = {
        "weights": hash_of(state["state_dict"]),
        "sampler": hash_of(state["sampler"]),
        "result": hash_of(result),
        "epochs": hash_of(rows_of(folder / "epochs.csv")),
    }
    for table in ("negatives", "items", "scores"):
        if (folder / f"{table}.csv").is_file():
            parts[table] = hash_of(rows_of(folder / f"{table}.csv"))
    metric = result["valid_metric"]
    value = (result["best_valid_result"] or result["test_result"])[metric]
    words = " ".join(f"{name} {text}" for name, text in parts.items())
    print(f"{title}: {words} {metric} {value:.6f}", flush=True)


def main() -> None:
    """Train all of it in a temporary folder."""
    from recbole_bns import run_recbole_bns

    torch.set_num_threads(1)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        write_data(Path("data"))
        common = {
            "data_path": "data",
            "use_gpu": False,
            "epochs": 3,
            "train_batch_size": 256,
            "eval_batch_size": 100_000,
            "show_progress": False,
            "seed": 11,
            **RECBOLES_STEP,
        }
        small = {"embedding_size": 8}

        def run(title: str, model: str, settings: Mapping[str, Any], out: str, **more: Any) -> None:
            own = {} if model in {"NeuMF"} else small
            run_recbole_bns(model, "tiny", None, {**common, **own, **settings}, out=out, **more)
            tell(title, Path(out))

        number = 0
        for model in ("BPR", "LightGCN"):
            for sampler in SAMPLERS:
                number += 1
                own = {"neg_sampler": sampler, **NEEDED.get(sampler, {})}
                run(f"{model} {sampler}", model, own, f"runs/{number}")
        for title, (model, settings) in MORE.items():
            number += 1
            run(title, model, settings, f"runs/{number}")
        if RECBOLES_STEP:
            for title, model in (("fused", "BPR"), ("fused LightGCN", "LightGCN")):
                number += 1
                step = {"fused_step": True, "reg_weight": 0.1}
                run(title, model, {"neg_sampler": "bns", **step}, f"runs/{number}")
        settings = {**common, **small, "neg_sampler": "srns", "epochs": 2}
        run_recbole_bns("BPR", "tiny", None, settings, out="runs/resumed")
        run_recbole_bns(
            None, None, None, {"epochs": 4, "show_progress": False}, resume="runs/resumed"
        )
        tell("resumed", Path("runs/resumed"))

        words = [
            "compare",
            "--model=BPR",
            "--dataset=tiny",
            "--data_path=data",
            "--epochs=2",
            "--samplers=rns,dns,bns",
            "--seeds=2",
            "--dns.candidate_num=3",
            "--use_gpu=False",
            "--embedding_size=8",
            "--show_progress=False",
            *(f"--{key}={value}" for key, value in RECBOLES_STEP.items()),
            "--out=compared",
            "--jobs=2",
        ]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-m", "recbole_bns.cli", *words],
            check=False,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        compared = json.loads(Path("compared/compare.json").read_text(encoding="utf-8"))
        for key in ("metrics", "tests", "parameters", "settings", "failed", "reference", "seeds"):
            print(f"compare {key}: {hash_of(compared[key])}")
        kept = [{k: v for k, v in row.items() if k not in LEFT_OUT} for row in compared["runs"]]
        print(f"compare runs: {hash_of(kept)}")
        for file in sorted(Path("compared/runs").glob("*.npz")):
            print(f"compare {file.name}: {hash_of(dict(np.load(file)))}")


if __name__ == "__main__":
    main()
