"""``nproc``: several processes train what one would, evaluate as one does, and end together.

Most tests fork their processes, which costs no import; the last ones start them as users do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_team import numbers, nursery
from test_resume import ARGS, assert_same, outcome
from test_resume import SAMPLERS as ALL
from tiny import ROOT, Settings, alive, build_model, prepare, start

from recbole_bns import UsageError, get_trainer
from recbole_bns.adapters import team
from recbole_bns.adapters.dataloader import BNSTrainDataLoader
from recbole_bns.adapters.sampler import BNSSampler
from recbole_bns.adapters.team import Team, current, without_doubles
from recbole_bns.cli import main
from recbole_bns.common import processes
from recbole_bns.common.processes import packed
from recbole_bns.runs import checkpoint
from recbole_bns.sampling import NegativeSampler, Peers, get
from recbole_bns.sampling.capabilities import Learns, of_type
from recbole_bns.training import launch as several
from recbole_bns.training import process
from recbole_bns.training.asked import Asked
from recbole_bns.training.limits import check_run
from recbole_bns.training.process import Job
from recbole_bns.training.process import main as main_of_process
from recbole_bns.training.run import run_recbole_bns
from recbole_bns.training.state import FILE
from recbole_bns.training.trainer import TrainerMixin

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the tests fork")
SAMPLERS = [n for n in ALL if not of_type(get(n).requirements_of(get(n).Params()), Learns)]
"""Those that learn are of one process."""
SRNS = {"neg_sampler": "srns", **ARGS["srns"], "neg_sampler_args.warmup_epochs": 0}
Step = Callable[..., Any]


def slow_but(quick: set[str]) -> list[Any]:
    """All samplers; of the others the default run has the same mechanism in the quick ones."""
    return [pytest.param(s, marks=() if s in quick else pytest.mark.slow) for s in SAMPLERS]


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Processes are forks with the memory, and patches, of this one; their numbers; none left."""
    started: list[int] = []
    start = several._run

    def run_forked(size: int, scratch: Path, folder: Path) -> None:
        with nursery(scratch, main_of_process) as words, monkeypatch.context() as patch:
            patch.setattr(several, "entrypoint", lambda job: (sys.executable, [*words, str(job)]))
            try:
                start(size, scratch, folder)
            finally:
                started.extend(numbers(scratch))

    monkeypatch.setattr(several, "EVERY", 0.02)
    monkeypatch.setattr(several, "_run", run_forked)
    yield started
    assert started
    for number in started:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def run(settings: Settings, folder: Path | None, nproc: int = 2, **more: Any) -> dict[str, Any]:
    kept = {key: more.pop(key) for key in ("resume", "per_user") if key in more}
    model = more.pop("model", "BPR")
    own = {**settings, "epochs": 4, "train_batch_size": 128, **more}
    return run_recbole_bns(model, "tiny", None, own, out=folder, nproc=nproc, **kept)


def in_process(monkeypatch: pytest.MonkeyPatch, rank: int, epoch: int, act: Step) -> None:
    """Have a process do something in the second batch of an epoch (0-based)."""
    known, batches = TrainerMixin._check_nan, []

    def check(self: Any, loss: Any) -> None:
        known(self, loss)
        if self._epoch == epoch and current().rank == rank and current().size > 1:
            batches.append(loss)
            if len(batches) == 2:
                act()

    monkeypatch.setattr(TrainerMixin, "_check_nan", check)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# --- Training ----------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize(
    ("model", "nproc", "more"),
    [
        pytest.param("BPR", 2, {"stopping_step": 1, "epochs": 20}, marks=pytest.mark.slow),
        (
            "BPR",
            3,
            {"train_batch_size": 100, "clip_grad_norm": {"max_norm": 0.01}, "reg_weight": 0.01},
        ),
        ("LightGCN", 2, {"reg_weight": 0.01, "require_pow": True, "neg_sample_num": 2}),
        pytest.param(
            "NeuMF", 2, {"dropout_prob": 0.0, "embedding_size": None}, marks=pytest.mark.slow
        ),
    ],
)
def test_with_the_same_negatives_the_weights_are_those_of_one_process(
    settings, tmp_path, forked, model, nproc, more
):
    """SRNS draws by user, so that this holds its memory together too."""
    own = {k: v for k, v in {**settings, **SRNS, **more}.items() if v is not None}
    for folder, number in (("one", 1), ("several", nproc)):
        run(own, tmp_path / folder, number, model=model, learning_rate=0.01)
    assert len(forked) == nproc
    (one, weights), (other, others) = (outcome(tmp_path / name) for name in ("one", "several"))
    assert (one["best_epoch"], one["epochs"]) == (other["best_epoch"], other["epochs"])
    assert one["epochs"] < 20
    for part in ("best_valid_result", "test_result"):
        assert one[part] == pytest.approx(other[part], abs=1e-6)
    moved = 0.0
    fresh = build_model(make_config(own, model), prepare(make_config(own, model))[0]).state_dict()
    for key, value in weights.items():
        torch.testing.assert_close(others[key], value, rtol=1e-3, atol=2e-5)
        moved = max(moved, float((fresh[key].float() - value.float()).abs().max()))
    assert moved > 0.01, "the weights have been trained"
    states = [
        checkpoint.load(tmp_path / name / "checkpoints" / FILE) for name in ("one", "several")
    ]
    same = (states[0]["sampler"]["memory"] == states[1]["sampler"]["memory"]).float().mean()
    assert same > 0.99
    for state in states[1]["others"]:
        assert torch.equal(state["sampler"]["memory"], states[1]["sampler"]["memory"])


IN_BATCH = {"neg_sampler": "inbatch", "reg_weight": 0.02, "train_batch_size": 101}


@pytest.mark.process
@pytest.mark.parametrize(
    ("model", "more"),
    [
        pytest.param(
            "BPR",
            {**SRNS, "loss": "ssm", "neg_sample_num": 3, "reg_weight": 0.02},
            marks=pytest.mark.slow,
        ),
        ("BPR", {**IN_BATCH, "loss": "ssm", "loss_args.reduction": "sum"}),
        ("LightGCN", {**IN_BATCH, "loss": "slk", "loss_args.refresh_every": 1}),
        pytest.param(
            "BPR",
            {**SRNS, "mixer": "dens", "mixer_args.candidate_num": 3, "reg_weight": 0.02},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "BPR",
            {**IN_BATCH, "loss": "bce", "loss_weight": "posterior"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_loss_over_many_negatives_is_that_of_one_process(settings, tmp_path, forked, model, more):
    """An in-batch list is the whole batch's in every process; its L2 term counts once."""
    for folder, number in (("one", 1), ("several", 2)):
        own = {**settings, **more, "epochs": 3}
        run(own, tmp_path / folder, number, model=model, learning_rate=0.01)
    assert len(forked) == 2
    (one, weights), (other, others) = (outcome(tmp_path / name) for name in ("one", "several"))
    for part in ("best_valid_result", "test_result"):
        assert one[part] == pytest.approx(other[part], abs=1e-6)
    for key, value in weights.items():
        torch.testing.assert_close(others[key], value, rtol=1e-3, atol=2e-5)
    losses = [
        [float(line.split(",")[1]) for line in path.read_text().splitlines()[1:]]
        for path in (tmp_path / name / "epochs.csv" for name in ("one", "several"))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.process
def test_a_list_of_each_process_trains_equal_weights_and_ends_well(settings, tmp_path, forked):
    """The weights are compared after every epoch; what differs between processes ends the run."""
    own = {"neg_sampler": "pns", "neg_shared": True, "loss": "bsl", "neg_sample_num": 9}
    result = run({**settings, **own, "loss_log_q": "both"}, tmp_path / "run", epochs=2)
    assert (result["epochs"], result["nproc"]) == (2, 2)


def make_config(settings: Settings, model: str = "BPR", **more: Any) -> Any:
    from recbole_bns import BNSConfig

    return BNSConfig(model, "tiny", None, {**settings, **more})


@pytest.mark.process
@pytest.mark.parametrize("sampler", slow_but({"srns", "rns"}))
def test_every_sampler_ends_well_and_one_process_writes(settings, tmp_path, forked, sampler):
    own = {**settings, "neg_sampler": sampler, **ARGS.get(sampler, {})}
    result = run(own, tmp_path / "run", epochs=2)
    assert (result["epochs"], result["nproc"]) == (2, 2)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        ".lock",
        "checkpoints",
        "commands.csv",
        "epochs.csv",
        "groups.csv",
        "README.md",
        "result.json",
        "run.log",
        "settings.yaml",
        "tensorboard",
        "users.npz",
    }
    assert len((tmp_path / "run" / "epochs.csv").read_text().splitlines()) == 3
    (entry,) = [
        line
        for line in (tmp_path / "run" / "run.log").read_text().splitlines()
        if "processes train together" in line
    ]
    assert entry.endswith(f": {forked[0]}, {forked[1]}")


def test_shares_are_disjoint_and_complete_and_drawn_for_differently(make, monkeypatch):
    batches: dict[int, list[Any]] = {}
    for rank in range(3):
        whole = rank == 2  # the last one is alone
        members = Team() if whole else Team(rank, 2)
        monkeypatch.setattr(team, "_current", members)
        monkeypatch.setattr(Team, "collect", lambda self, value: [value])
        config = make(neg_sampler="rns", train_batch_size=101, nproc=members.size)
        train = prepare(config)[0]
        batches[rank] = [
            (batch["user_id"], batch["item_id"], batch["neg_item_id"], train.weight)
            for _ in range(2)
            for batch in train
        ]
        assert len(batches[rank]) == 2 * len(train)
    same = total = 0
    for first, second, single in zip(*batches.values(), strict=True):
        assert first[3] + second[3] == pytest.approx(1)
        assert first[3] == pytest.approx(len(first[0]) / len(single[0]))
        for column in (0, 1):
            assert torch.equal(torch.cat((first[column], second[column])), single[column])
        size = min(len(first[0]), len(second[0]))
        same += int((first[2][:size] == second[2][:size]).sum())
        total += size
    assert same / total < 0.1


def test_a_batch_with_fewer_rows_than_processes_counts_each_row_once():
    shares = [Team(rank, 3).share(2) for rank in range(3)]
    assert shares == [(0, 1, 0.0), (0, 1, 0.5), (1, 2, 0.5)]
    for size in range(1, 6):
        for count in range(1, 20):
            shares = [Team(rank, size).share(count) for rank in range(size)]
            rows = [row for first, end, weight in shares if weight for row in range(first, end)]
            assert rows == list(range(count))
            assert sum(weight for _, _, weight in shares) == pytest.approx(1)


def test_rows_that_are_transformed_are_shared_too(make, monkeypatch):
    found: list[Any] = []
    for rank in range(2):
        monkeypatch.setattr(team, "_current", Team(rank, 2))
        monkeypatch.setattr(Team, "collect", lambda self, value: [value])
        train = prepare(make(neg_sampler="rns", train_batch_size=101, nproc=2))[0]
        train.transform = lambda dataset, batch: batch
        found.append(
            [(batch["user_id"] * 1000 + batch["item_id"], train.weight) for batch in train]
        )
    assert sum(len(ids) for part in found for ids, _ in part) == train.sample_size
    assert len(torch.cat([ids for part in found for ids, _ in part]).unique()) == train.sample_size
    for first, second in zip(*found, strict=True):
        assert first[1] == pytest.approx(len(first[0]) / (len(first[0]) + len(second[0])))
        assert first[1] + second[1] == pytest.approx(1)


# --- Evaluation --------------------------------------------------------------------------------

WHOLE = {
    "metrics": ["Recall", "NDCG", "MRR", "GAUC", "ItemCoverage", "AveragePopularity"],
    "topk": [5, 10],
    "valid_metric": "NDCG@10",
    "eval_batch_size": 200,
}


@pytest.mark.process
@pytest.mark.parametrize(
    ("nproc", "more"),
    [
        (3, WHOLE),
        pytest.param(
            2, {"eval_args.mode": "uni20", "eval_batch_size": 130}, marks=pytest.mark.slow
        ),
        (2, {"eval_args.mode": "uni20", "eval_batch_size": 100_000}),  # one batch, one has none
        pytest.param(
            2,
            {
                "split": "ratio",
                "split_shares": [0.6, 0.2, 0.2],
                "split_group": "all",
                "eval_batch_size": 130,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            2,
            {
                "metrics": ["AUC", "LogLoss"],
                "valid_metric": "AUC",
                "model": "NeuMF",
                "eval_args.mode": "uni20",
                "eval_batch_size": 17,
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_metrics_are_those_of_one_process_to_the_last_bit(settings, tmp_path, forked, nproc, more):
    if more["eval_batch_size"] == 17:
        del settings["embedding_size"]
    more = dict(more)
    model = more.pop("model", "BPR")
    own = {**settings, "neg_sampler": "dns", **more}
    users = tmp_path / "users.npz"
    result = run(own, tmp_path / "run", nproc, model=model, per_user=users)
    config = make_config(own, model, checkpoint_dir=str(tmp_path / "alone"))
    train, _, test = prepare(config)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, build_model(config, train))
    trainer.eval_collector.data_collect(train)
    alone = trainer.evaluate(test, model_file=result["checkpoint"])
    assert {name: float(value) for name, value in alone.items()} == result["test_result"]


# --- Ends --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_dead_process_ends_the_run_which_goes_on_bit_for_bit(
    settings, tmp_path, forked, monkeypatch, sampler
):
    own = {**settings, "neg_sampler": sampler, **ARGS.get(sampler, {})}
    run(own, tmp_path / "whole")
    begun = time.monotonic()
    with monkeypatch.context() as patch:
        in_process(patch, 1, 2, die)
        with pytest.raises(UsageError) as caught:
            run(own, tmp_path / "ended")
    assert time.monotonic() - begun < 300
    folder = tmp_path / "ended"
    assert str(caught.value) == (
        "nproc: process 1 (of 0 to 1) was ended by the signal SIGKILL, perhaps for want of memory; "
        f"all are ended, what is done lies in {folder}; go on with: recbole-bns run "
        f"--resume={folder}"
    )
    with pytest.raises(UsageError, match=r"has nproc 2, got 3; go on with its own settings"):
        run_recbole_bns(resume=folder, nproc=3)
    with pytest.raises(UsageError, match=r"has nproc 2, got 1; go on with its own settings"):
        run_recbole_bns(resume=folder, nproc=1)
    path = folder / "checkpoints" / FILE
    state = checkpoint.load(path)
    checkpoint.save({**state, "others": []}, path)
    with pytest.raises(UsageError, match=r"is of 1 processes, wanted is nproc 2; go on with --np"):
        run_recbole_bns(resume=folder)
    checkpoint.save(state, path)
    run_recbole_bns(resume=folder)
    assert_same(tmp_path / "whole", folder)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def fail() -> None:
    raise ValueError("something is wrong.")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (stop, r"process 0 \(of 0 to 1\) had no answer from process 1 \(.*\); all are ended, .*"),
        (
            fail,
            r"process 1 \(of 0 to 1\) failed with ValueError: something is wrong \(all of it is "
            r"in .*failed-process-1\.txt\); all are ended, .* go on with: .*--resume=.*",
        ),
        (lambda: os._exit(3), r"process 1 \(of 0 to 1\) ended with status 3; all are ended, .*"),
    ],
    ids=["stopped", "failed", "left"],
)
def test_whoever_does_not_come_along_ends_the_run_with_a_sentence(
    settings, tmp_path, forked, monkeypatch, act, sentence
):
    if act is stop:  # the others are seen to end
        monkeypatch.setattr(several, "TIMEOUT", 20.0)
    in_process(monkeypatch, 1, 1, act)
    begun = time.monotonic()
    with pytest.raises(UsageError, match=f"^nproc: {sentence}$"):
        run({**settings, "neg_sampler": "rns"}, tmp_path / "run")
    assert time.monotonic() - begun < 300
    for file in (tmp_path / "run").glob("failed-process-1.txt"):
        assert "Traceback" in file.read_text()


@pytest.mark.process
def test_what_a_process_refuses_is_said_as_ever(settings, tmp_path, forked, monkeypatch):
    known = TrainerMixin._check_nan
    monkeypatch.setattr(
        TrainerMixin,
        "_check_nan",
        lambda self, loss: known(self, loss * (float("nan") if current().rank else 1.0)),
    )
    with pytest.raises(UsageError, match=r"^training: the loss is NaN in epoch 1; lower learning"):
        run({**settings, "neg_sampler": "rns"}, tmp_path / "run")


@pytest.mark.process
def test_weights_that_part_are_noticed(settings, tmp_path, forked, monkeypatch):
    known = BNSTrainDataLoader._neg_sampling

    def moving(self: Any, batch: Any) -> Any:
        with torch.no_grad():
            self.model.user_embedding.weight[1] += self.team.rank
        return known(self, batch)

    monkeypatch.setattr(BNSTrainDataLoader, "_neg_sampling", moving)
    with pytest.raises(UsageError, match=r"the weights of BPR differ .* epoch 1, .*allowed is 1"):
        run({**settings, "neg_sampler": "rns"}, tmp_path / "run")


# --- What cannot be ----------------------------------------------------------------------------

REFUSED = [
    ({"neg_sampler": "none"}, r"RecBole's own sampling, which is not divided; allowed is 1, or ne"),
    ({"neg_record": True}, "neg_record: True counts the negatives of one process"),
    ({"worker": 2, "neg_sampler": "rns"}, "worker is 2"),
    ({"learner": "sparse_adam"}, "learner: sparse_adam"),
    ({"enable_scaler": True}, "enable_scaler: True"),
    ({"train_batch_size": 1}, "a batch has 1 positives"),
    ({"model": "NCL"}, r"NCL has a training loop of its own \(NCLTrainer\)"),
]


@pytest.mark.parametrize(("given", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_several_processes_cannot_do_is_refused_at_once(settings, tmp_path, given, reason):
    with pytest.raises(UsageError, match=f"^nproc: got 2, but .*{reason}"):
        run(settings, tmp_path / "run", **{"neg_sampler": "dns", **given})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [0, -1, "x", 1.5, True])
def test_a_number_that_is_none_is_refused(settings, tmp_path, value):
    with pytest.raises(UsageError, match=rf"^nproc: got {value!r}, allowed is an integer >= 1\.$"):
        run(settings, tmp_path / "run", value)


def test_more_than_there_are_is_refused(settings, monkeypatch):
    with pytest.raises(UsageError, match=r"^nproc: got 999, but this machine has \d+ cores; allow"):
        check_run(make_config(settings, nproc=999))
    config = make_config(settings, nproc=2)
    config.final_config_dict["device"] = torch.device("cuda")
    for gpu_id, there, fits in (("0,1", 2, True), ("0,1", 1, False), ("0", 2, False)):
        config.final_config_dict["gpu_id"] = gpu_id
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: there)
        if fits:
            check_run(config)
            continue
        with pytest.raises(
            UsageError, match=rf"nproc: got 2, but gpu_id '{gpu_id}' names .*cpu=?|"
        ):
            check_run(config)


@pytest.mark.parametrize(
    ("given", "gpu_id"),
    [({"nproc": 3}, "0,1,2"), ({"nproc": 2, "gpu_id": "4,7"}, "4,7"), ({}, "0")],
)
def test_gpus_are_given_out_where_none_is_named(settings, monkeypatch, given, gpu_id):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert make_config({**settings, "use_gpu": True, **given})["gpu_id"] == gpu_id


def test_a_process_sees_its_own_gpu_alone(tmp_path, monkeypatch):
    given: dict[str, Any] = {}
    monkeypatch.setattr(process, "work", lambda job: given.update(os.environ, gpu=job.own_gpu))
    for name in ("end_at_once", "end_with_parent"):
        monkeypatch.setattr(process, name, lambda *_, **__: None)
    asked = Asked(None, None, None, {})
    job = Job(asked, tmp_path, tmp_path, "4, 7", 1.0, os.getpid())
    (tmp_path / "job").write_bytes(packed(job, []))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    main_of_process(str(tmp_path / "job"))
    assert given["CUDA_VISIBLE_DEVICES"] == given["gpu"] == "7"


def test_a_process_has_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(processes, "count_cores", lambda: 8)
    for name in processes.THREADS:
        monkeypatch.delenv(name, raising=False)
    assert processes.thread_variables(2)["OMP_NUM_THREADS"] == "4"
    assert set(processes.thread_variables(9).values()) == {"1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert processes.thread_variables(2)["OMP_NUM_THREADS"] == "3", "the user's word stands"


def test_a_class_of_the_script_itself_is_refused(settings):
    from recbole.model.general_recommender import BPR

    mine = type("Mine", (BPR,), {"__module__": "__main__"})
    with pytest.raises(UsageError, match="the model Mine is defined in the script that runs"):
        run_recbole_bns(mine, "tiny", None, {**settings, "neg_sampler": "rns"}, nproc=2)


def test_who_starts_no_processes_refuses_several(make, monkeypatch):
    with pytest.raises(UsageError, match=r"nproc: got 2, but only run_recbole_bns and recbole-bns"):
        prepare(make(nproc=2))


@pytest.mark.parametrize("command", ["compare", "tune"])
def test_commands_with_processes_of_their_own_refuse_several(settings, in_tmp, capsys, command):
    pytest.importorskip("ray") if command == "tune" else None
    words = [f"--{key}={value}" for key, value in settings.items()]
    assert main([command, "--model=BPR", "--dataset=tiny", "--nproc=2", *words]) == 2
    assert f"nproc: got 2, but {command} trains a " in capsys.readouterr().err


def test_a_memory_that_nobody_shares_is_refused(make):
    class Remembering(NegativeSampler):
        name = "remembering"

        def setup(self) -> None:
            self.register_buffer("last", torch.zeros(3))

        def sample(self, users: Any, items: Any, n: int, scorer: Any) -> Any:
            return self.proposal.draw(users, n, self.generator)

    sampler: BNSSampler = prepare(make(neg_sampler="rns"))[0]._sampler
    peers = Peers()
    peers.size = 2
    with pytest.raises(
        UsageError, match=r"got 2, but neg_sampler 'remembering' keeps a memory \('"
    ):
        Remembering(sampler.core.catalogue).divide(peers)


def test_equal_tensors_are_kept_once():
    first = {"a": torch.arange(3), "b": [torch.ones(2), 1]}
    other = {"a": torch.arange(3), "b": [torch.zeros(2), 2]}
    kept = without_doubles(first, other)
    assert kept["a"] is first["a"]
    assert torch.equal(kept["b"][0], torch.zeros(2))
    assert kept["b"][1] == 2


# --- As users start them -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_processes_and_the_command_that_it_names_goes_on(
    settings, tmp_path, number
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    own = {**settings, "neg_sampler": "bns", "epochs": 3000, "stopping_step": 5000, "nproc": 2}
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        "--out=mine",
        *(f"--{key}={value}" for key, value in own.items()),
    ]
    process = start(
        words, tmp_path, stderr=subprocess.PIPE, text=True, env={"TMPDIR": str(scratch)}
    )
    begun, folder = time.time(), tmp_path / "mine"
    while not (folder / "checkpoints" / FILE).is_file():
        assert time.time() - begun < 200
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    log = (folder / "run.log").read_text()
    pids = [int(p) for p in log.partition("together: ")[2].partition("\n")[0].split(",")]
    assert len(pids) == 2
    assert all(map(alive, pids))
    process.send_signal(number)
    said = process.communicate(timeout=600)[1]
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130
        assert said.endswith("go on with: recbole-bns run --resume=mine\n")
        assert said.count("\n") == 1
    until = time.time() + 100
    while any(map(alive, pids)):
        assert time.time() < until
        time.sleep(0.05)
    assert not list(scratch.glob("recbole-bns-*"))
    assert len(checkpoint.load(folder / "checkpoints" / FILE)["others"]) == 1


@pytest.mark.slow
@pytest.mark.process
def test_a_sampler_of_a_module_beside_the_script_is_found(settings, in_tmp):
    Path("mine.py").write_text(
        "from recbole_bns import register\n"
        "from recbole_bns.sampling.methods.rns import RNS\n\n"
        "@register\nclass Mine(RNS):\n    name = 'mine'\n",
        encoding="utf-8",
    )
    script = (
        "import json, sys, mine\nfrom recbole_bns import run_recbole_bns\n"
        "print(run_recbole_bns('BPR', 'tiny', None, json.loads(sys.argv[1]), nproc=2))\n"
    )
    Path("script.py").write_text(script, encoding="utf-8")
    given = json.dumps({**settings, "neg_sampler": "mine"})
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "script.py", given],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert "'neg_sampler': 'mine'" in done.stdout


@pytest.mark.slow
@pytest.mark.process
def test_the_command_line_trains_and_goes_on(settings, in_tmp, capfd):
    words = [
        "run",
        "--model=LightGCN",
        "--dataset=tiny",
        "--nproc=2",
        "--neg_sampler=srns",
        *(f"--{key}={value}" for key, value in settings.items()),
    ]
    words = [word.replace("show_progress=False", "show_progress=True") for word in words]
    assert main([*words, "--out=a"]) == 0
    shown = capfd.readouterr()
    assert shown.err.count("epoch 1 of 2") == 1
    assert "LightGCN on tiny with srns, seed 2020: 2 epochs" in shown.out
    assert main(["run", "--resume=a", "--epochs=4"]) == 0
    assert json.loads(Path("a/result.json").read_text())["epochs"] == 4


@pytest.mark.process
@pytest.mark.slow
def test_each_process_mines_positives_of_its_own_rows(settings, tmp_path, forked):
    """The weights are compared after every epoch; the draws of the processes differ."""
    own = {"neg_sampler": "rns", "mine.share": 0.5, "mine.prior_l2": 20}
    result = run({**settings, **own}, tmp_path / "run", epochs=2)
    assert (result["epochs"], result["nproc"]) == (2, 2)
    assert result["mine"]["share"] == 0.5
