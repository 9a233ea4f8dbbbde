"""What each setting is, said once: type, range, help, and how every part of the package treats it.

A setting is a field of one of the dataclasses in :data:`GROUPS`. From them follow the checks, what
the flags of the command line become, which settings are free at ``--resume``, fixed in a sweep or
shared by the rows of a comparison, what stands in ``settings.yaml`` and in
``properties/overall.yaml``, the lines of ``--help`` and ``docs/settings.md``.

All that follows is worked out when it is asked for, so that a setting that is added to a group, or
a group to :data:`GROUPS`, is there at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import allowed, check_parameter, param

from .splits import DEFAULT_GROUP, DEFAULT_K, KINDS, NONE, moments_of, shares_of
from .values import (
    NUMBER_OR_AUTO,
    anything,
    clipping_of,
    columns_of,
    epochs_of,
    interval_of,
    intervals_of,
    number_or_auto,
    one_of,
    origin,
)

EXCLUDED = ("all", "train", "none")
"""``--exclude`` of ``predict``: items that a user has touched and is not recommended."""

NO_SAMPLER = "none"
"""``neg_sampler: none`` leaves sampling to RecBole."""

OWN_LOSS = "model"
"""``loss: model`` leaves the loss to the model."""
NO_NEGATIVES = "none"
"""``negatives: none`` passes over the file of known dislikes that lies beside the interactions."""
NO_WEIGHT = "none"
"""``WEIGHT_FIELD: none`` passes over the weights of interactions."""
NO_MIXER = "none"
"""``mixer: none``: the ids that a sampler draws are the negatives."""

VALID_BEST, ALL_PARTS = "valid_best", "all"
"""``train_on``: the model that is tested alone, or another one of all interactions too."""

ITEM_ONLY = "item"
"""``filter_inter_by_user_or_item`` where a sampler's parameter, not the user, loads the ``.user``
file: it takes no interaction away and adds no user. RecBole reads it as off."""

Spec = dataclasses.Field[Any]
"""A setting: its name, its default and, in ``metadata``, the rest of its declaration."""


class Removed(NamedTuple):
    """A setting that has gone: at its old default it is passed over, else refused."""

    default: Any
    instead: str
    """What to write now: a sentence."""


REMOVED: dict[str, Removed] = {
    "neg_record_format": Removed(
        "csv", "it has gone, the files are CSV; leave it out (pandas turns them into Parquet)."
    ),
    "neg_sampling": Removed(
        None, "RecBole reads it no longer; write train_neg_sample_args with neg_sampler: none."
    ),
    "training_neg_sample_num": Removed(
        None,
        "RecBole reads it no longer; write neg_sample_num, or train_neg_sample_args with "
        "neg_sampler: none.",
    ),
}


NOT_IN_A_RUN: dict[str, str] = {
    "checkpoint_dir": "a run keeps its checkpoints in its own folder; name that with --out=DIR",
    "save_dataloaders": "the data are read anew for each run, so that they are the files'",
    "dataloaders_save_path": "the data are read anew for each run, so that they are the files'",
}
"""Settings of RecBole's own quick start that no command of ours reads, and why."""


def refuse_unread(flags: Mapping[str, Any]) -> None:
    """Refuse flags of the command line that none of our commands reads.

    Raises:
        UsageError: one is given and is not off.
    """
    for key, reason in NOT_IN_A_RUN.items():
        if flags.get(key) not in (None, False):
            raise UsageError(f"{key}: got {flags[key]!r}, which is not read here: {reason}.")


def setting(
    default: Any,
    help: str,
    *,
    like: Any = None,
    optional: bool = False,
    words: str | None = None,
    example: str | None = None,
    check: Callable[[Any, str], Any] | None = None,
    text: bool = False,
    listed: bool = False,
    merged: bool = False,
    free_at_resume: bool = False,
    in_sweep: Literal["trial", "data", "sweep"] = "trial",
    shared_in_comparison: bool = False,
    leaves_model_alone: bool = False,
    written: Literal["always", "changed", "never"] = "always",
    computed: bool = False,
    beside_fixed_split: bool = True,
    overall: bool = False,
    **ranges: Any,
) -> Any:
    """Declare a setting.

    Args:
        default: where nobody says anything.
        help: one line.
        like: a value of its type where the default is None.
        optional: None is allowed.
        words: what is allowed, where the range does not say it well.
        example: of a mapping; the setting is one.
        check: of a value under a key, raises ``UsageError``; for what no range can say.
        text: its value is text whatever it looks like.
        listed: ``a,b`` on the command line is a list; a single value is allowed too.
        merged: layers are merged key by key instead of replaced.
        free_at_resume: a run may go on with another value.
        in_sweep: may differ between trials, decides the data that they share, or must be equal for
            them to be compared.
        shared_in_comparison: all rows of a table have it in common.
        leaves_model_alone: the trained model is the same with another value.
        written: to a run's ``settings.yaml``; ``changed``: where it is not the default.
        computed: worked out from others; not for users to set.
        beside_fixed_split: it acts where files fix the split (``benchmark_filename``).
        overall: ``properties/overall.yaml`` has it.
        ranges: of :func:`~recbole_bns.common.params.param`.
    """
    declared = param(default, help, **ranges)
    extra = {
        "like": default if like is None else like,
        "optional": optional or (default is None and like is None and not check),
        "words": words,
        "example": example,
        "check": check,
        "text": text,
        "listed": listed,
        "merged": merged,
        "free_at_resume": free_at_resume,
        "in_sweep": in_sweep,
        "shared_in_comparison": shared_in_comparison,
        "leaves_model_alone": leaves_model_alone,
        "written": "never" if computed else written,
        "computed": computed,
        "beside_fixed_split": beside_fixed_split,
        "overall": overall,
    }
    return dataclasses.field(default=default, metadata={**declared.metadata, **extra})


@dataclass(frozen=True)
class Ours:
    """Settings of this package."""

    OURS: ClassVar[bool] = True

    neg_sampler: str = setting(
        "bns",
        "The negative sampler; `recbole-bns samplers` lists them; none: RecBole's own.",
        check=anything,
        overall=True,
    )
    neg_sampler_args: Mapping[str, Any] | None = setting(
        None,
        "Its parameters; properties/sampler/<name>.yaml shows the defaults.",
        like={},
        merged=True,
        optional=True,
        words="a mapping of parameters",
        example="{candidate_num: 5}",
        overall=True,
    )
    neg_sample_num: int = setting(
        1, "Negatives a positive; the batch keeps its positives.", low=1, overall=True
    )
    neg_shared: bool = setting(
        False,
        "With a loss: one list of neg_sample_num negatives for all positives of a batch.",
        written="changed",
        overall=True,
    )
    loss: str = setting(
        OWN_LOSS,
        "The loss over neg_sample_num negatives; `recbole-bns losses` lists them; model: its own.",
        check=anything,
        written="changed",
        overall=True,
    )
    loss_args: Mapping[str, Any] | None = setting(
        None,
        "Its parameters; properties/loss/<name>.yaml shows the defaults.",
        like={},
        merged=True,
        optional=True,
        words="a mapping of parameters",
        example="{temperature: 0.2}",
        written="changed",
        overall=True,
    )
    mixer: str = setting(
        NO_MIXER,
        "What makes each negative of several candidates; `recbole-bns mixers` lists them.",
        check=anything,
        written="changed",
        overall=True,
    )
    mixer_args: Mapping[str, Any] | None = setting(
        None,
        "Its parameters; properties/mixer/<name>.yaml shows the defaults.",
        like={},
        merged=True,
        optional=True,
        words="a mapping of parameters",
        example="{candidate_num: 16}",
        written="changed",
        overall=True,
    )
    loss_similarity: str | None = setting(
        None,
        "How vectors are compared in training: dot or cosine; null: as the loss is meant.",
        optional=True,
        check=one_of("dot", "cosine"),
        words="one of dot, cosine",
        written="changed",
        overall=True,
    )
    score_similarity: str | None = setting(
        None,
        "How they are compared in evaluation, predict and export; null: as in training.",
        optional=True,
        check=one_of("dot", "cosine"),
        words="one of dot, cosine",
        written="changed",
        overall=True,
    )
    loss_log_q: str = setting(
        "none",
        "Scores less the log-probability of the draw: of negatives, of both, or corrected.",
        check=one_of("none", "negatives", "both", "corrected"),
        words="one of none, negatives, both, corrected",
        written="changed",
        overall=True,
    )
    loss_mask: bool = setting(
        True,
        "Of a shared list leave out each user's own training items; False: the positive alone.",
        written="changed",
        overall=True,
    )
    loss_weight: str = setting(
        "none",
        "posterior: each term of the loss times BNS's probability of a true negative.",
        check=one_of("none", "posterior"),
        words="one of none, posterior",
        written="changed",
        overall=True,
    )
    loss_weight_args: Mapping[str, Any] | None = setting(
        None,
        "Its parameters: prior, prior_scale, likelihood, gamma and others of bns.",
        like={},
        merged=True,
        optional=True,
        words="a mapping of parameters",
        example="{prior: ease, gamma: 1}",
        written="changed",
        overall=True,
    )
    negatives: str | None = setting(
        None,
        "Pairs shown and not taken, a file; null: NAME.neg beside NAME.inter, if any; none: no.",
        like="",
        text=True,
        optional=True,
        words="a file, none, or null",
        in_sweep="data",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    WEIGHT_FIELD: str | None = setting(
        "weight",
        "The column of weights in loss and popularity, where the data have one; none: unused.",
        text=True,
        optional=True,
        in_sweep="data",
        written="changed",
        overall=True,
    )
    mine: Mapping[str, Any] | None = setting(
        None,
        "Mined positives: a share of each batch's makes way for items that a prior finds likely.",
        like={},
        merged=True,
        optional=True,
        words="a mapping of parameters, such as {prior: ease, share: 0.5, items: 10, exponent: 2}",
        example="{prior: ease, share: 0.5, items: 10, exponent: 2}",
        written="changed",
        overall=True,
    )
    preset: str | None = setting(
        None,
        "Settings that go together, over tuned ones: a file of properties/preset/, as mined-ssm.",
        like="",
        optional=True,
        text=True,
        words="the name of a preset",
        in_sweep="sweep",
        written="never",
        overall=True,
    )
    tuned: bool = setting(
        True,
        "Use properties/tuned/<dataset>/<Model>/<sampler+loss+mixer>.yaml if there is one.",
        in_sweep="sweep",
        overall=True,
    )
    valid_ratio: float | None = setting(
        None,
        "Share of all but the test part for validation; 0: none, fixed epochs.",
        like=0.1,
        optional=True,
        low=0,
        below=1,
        words="a number from 0 to below 1",
        in_sweep="data",
        overall=True,
    )
    split: str = setting(
        NONE,
        "Parts by last, last_k, ratio or time; none: by eval_args or files.",
        optional=True,
        check=one_of(*KINDS),
        words="one of last, last_k, ratio, time, none",
        in_sweep="data",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    split_k: int = setting(
        DEFAULT_K,
        "split: last_k: how many of each user are tested, and as many validate.",
        low=1,
        in_sweep="data",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    split_shares: list[float] | None = setting(
        None,
        "split: ratio or time: of training, validation and test; null: 0.8,0.1,0.1.",
        optional=True,
        listed=True,
        check=shares_of,
        words="three shares > 0",
        in_sweep="data",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    split_group: str = setting(
        DEFAULT_GROUP,
        "split: ratio: shares of each user's interactions, or of all.",
        check=one_of("user", "all"),
        words="one of user, all",
        in_sweep="data",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    split_time: Any = setting(
        None,
        "split: time: when testing begins, or validation and testing: 2024-05-01,2024-06-01.",
        optional=True,
        listed=True,
        check=moments_of,
        words="one or two dates, or numbers as in the column of times",
        in_sweep="data",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    train_on: str = setting(
        VALID_BEST,
        "all: then a second model of all parts, for the best epoch's number.",
        check=one_of(VALID_BEST, ALL_PARTS),
        words="one of valid_best, all",
        free_at_resume=True,
        in_sweep="sweep",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    checkpoint_every: int = setting(
        1,
        "Epochs between two states that --resume goes on from; 0: none.",
        low=0,
        free_at_resume=True,
        in_sweep="sweep",
        overall=True,
    )
    nproc: int = setting(
        1,
        "Processes that train one model together and share each batch.",
        low=1,
        in_sweep="sweep",
        written="changed",
        overall=True,
    )
    threads: str | int = setting(
        "auto",
        "Threads on the CPU; auto: by the cores that others leave free.",
        check=number_or_auto,
        words=NUMBER_OR_AUTO,
        free_at_resume=True,
        in_sweep="sweep",
        shared_in_comparison=True,
        written="changed",
        overall=True,
    )
    lr_schedule: Mapping[str, Any] | None = setting(
        None,
        "{step_size: 20, gamma: 0.1}: multiply the learning rate by gamma every step_size epochs.",
        optional=True,
        example="{step_size: 20, gamma: 0.1}",
        overall=True,
    )
    fused_step: bool | None = setting(
        None,
        "A fused optimizer, and BPR's step in one pass; null: if we sample.",
        like=True,
        optional=True,
        words="True, False or null",
        written="changed",
        in_sweep="sweep",
        overall=True,
    )
    neg_record: bool = setting(
        False,
        "Measure the negatives of every epoch: negatives.csv and items.csv.",
        leaves_model_alone=True,
        in_sweep="sweep",
        overall=True,
    )
    neg_record_scores: list[int] | None = setting(
        None,
        "Epochs, from 1, whose scores are counted: 1,10,50; scores.csv.",
        optional=True,
        listed=True,
        check=epochs_of,
        words="epochs, counted from 1: 1,10,50",
        leaves_model_alone=True,
        in_sweep="sweep",
        overall=True,
    )
    allow_unknown: bool = setting(
        False,
        "Let settings pass that nothing is seen to read.",
        written="changed",
        in_sweep="sweep",
        overall=True,
    )


@dataclass(frozen=True)
class Model:
    """Settings of some models."""

    OF_SOME_MODELS: ClassVar[bool] = True

    embedding_size: int = setting(64, "Length of the vectors of users and items.", low=1)
    reg_weight: float = setting(
        0.0,
        "Weight of the L2 norm of a batch's vectors in the loss, of models that have it.",
        low=0,
    )


@dataclass(frozen=True)
class Training:
    """RecBole's settings of the training."""

    epochs: int = setting(300, "Epochs of training.", low=1, free_at_resume=True, in_sweep="sweep")
    train_batch_size: int | str = setting(
        2048,
        "Positives a step; auto: 2048, or more where a step goes through a large graph.",
        check=number_or_auto,
        words=NUMBER_OR_AUTO,
    )
    learner: str = setting(
        "adam",
        "The optimizer.",
        check=one_of("adam", "sgd", "adagrad", "rmsprop", "sparse_adam", any_case=True),
        words="one of adam, sgd, adagrad, rmsprop, sparse_adam",
    )
    learning_rate: float = setting(0.001, "Learning rate.", low=0)
    weight_decay: float = setting(0.0, "L2 of the optimizer, on all weights.", low=0)
    train_neg_sample_args: Mapping[str, Any] | None = setting(
        None,
        "RecBole's own negatives, for neg_sampler: none.",
        merged=False,
        check=anything,
        written="never",
    )
    eval_step: int = setting(1, "Epochs between two validations; 0: none.", in_sweep="sweep")
    stopping_step: int = setting(10, "Validations without a better one that end it.", low=0)
    clip_grad_norm: Mapping[str, Any] | None = setting(
        None,
        "Cut gradients off at a norm.",
        optional=True,
        check=clipping_of,
        example="{max_norm: 1}",
    )
    shuffle: bool = setting(True, "Shuffle the training interactions in each epoch.")
    enable_amp: bool = setting(False, "Mixed precision.")
    enable_scaler: bool = setting(False, "Scale gradients with mixed precision.")
    worker: int = setting(0, "Processes that make batches.", low=0)
    loss_decimal_place: int = setting(4, "Decimal places of the loss in the log.", low=0)
    rm_dup_inter: str | None = setting(
        None,
        "Which of an interaction's copies stays: first or last; null: all.",
        optional=True,
        check=one_of("first", "last"),
        words="one of first, last",
        in_sweep="data",
        beside_fixed_split=False,
    )


@dataclass(frozen=True)
class Machine:
    """RecBole's settings of the machine and of what is shown."""

    seed: int = setting(
        2020,
        "Of the split, the weights and all that is drawn.",
        low=0,
        below=2**32,
        words="an integer from 0 to 2**32 - 1",
        shared_in_comparison=True,
    )
    reproducibility: bool = setting(True, "Deterministic kernels of PyTorch.")
    use_gpu: bool = setting(
        True, "Train on a GPU where there is one.", free_at_resume=True, in_sweep="sweep"
    )
    gpu_id: str = setting(
        "0",
        "Which GPU, or several: 0,1; empty: the CPU.",
        check=anything,
        text=True,
        free_at_resume=True,
        in_sweep="sweep",
    )
    show_progress: bool = setting(
        True,
        "Show a progress bar.",
        free_at_resume=True,
        in_sweep="sweep",
        overall=True,
    )
    log_wandb: bool = setting(False, "Report to Weights & Biases.")
    data_path: str = setting(
        "dataset/",
        "The folder of the data set's folder.",
        text=True,
        check=anything,
        free_at_resume=True,
        in_sweep="data",
        shared_in_comparison=True,
        written="never",
    )
    checkpoint_dir: str = setting(
        "saved",
        "Of RecBole; a run keeps its checkpoints in its folder.",
        text=True,
        in_sweep="sweep",
        written="never",
    )


@dataclass(frozen=True)
class Evaluation:
    """Settings of the evaluation; some of RecBole's have another default here."""

    eval_batch_size: int = setting(
        131072,
        "Scores a step of evaluation; RecBole's 4096 is one user at a time for 3,000 items.",
        low=1,
        overall=True,
    )
    metrics: Sequence[str] = setting(
        ("Recall", "NDCG", "Precision", "MRR", "Hit"),
        "What is measured.",
        listed=True,
        check=anything,
        in_sweep="sweep",
        shared_in_comparison=True,
        overall=True,
    )
    topk: Sequence[int] = setting(
        (5, 10, 20),
        "Lengths of the lists that are measured.",
        listed=True,
        check=anything,
        words="integers >= 1",
        in_sweep="sweep",
        shared_in_comparison=True,
        overall=True,
    )
    valid_metric: str = setting(
        "NDCG@20",
        "Decides early stopping and which checkpoint is tested.",
        check=anything,
        in_sweep="sweep",
        overall=True,
    )
    metric_decimal_place: int = setting(
        16, "Results are not rounded; the screen shows four places.", low=0, overall=True
    )
    eval_args: Mapping[str, Any] = setting(
        None,
        "Of RecBole: split, order, group_by and mode of the evaluation.",
        like={},
        example="{mode: full}",
        merged=True,
        in_sweep="data",
    )
    repeatable: bool = setting(False, "Whether what a user has touched may be recommended.")


@dataclass(frozen=True)
class Data:
    """RecBole's settings of the data."""

    load_col: Mapping[str, Any] | None = setting(
        None,
        "The columns that are read, by file.",
        optional=True,
        check=columns_of,
        example="{inter: [user_id, item_id]}",
        in_sweep="data",
    )
    unload_col: Mapping[str, Any] | None = setting(
        None,
        "The columns that are not read, by file.",
        optional=True,
        check=columns_of,
        example="{inter: [timestamp]}",
        in_sweep="data",
    )
    unused_col: Mapping[str, Any] | None = setting(
        None,
        "The columns that are read for filters alone, by file.",
        optional=True,
        check=columns_of,
        example="{inter: [rating]}",
        in_sweep="data",
    )
    additional_feat_suffix: Any = setting(None, "Further files that are read.", in_sweep="data")
    benchmark_filename: Any = setting(
        None,
        "Files that fix the split: [train, test] or [train, valid, test].",
        in_sweep="data",
    )
    USER_ID_FIELD: str = setting("user_id", "The column of users.", text=True, in_sweep="data")
    ITEM_ID_FIELD: str = setting("item_id", "The column of items.", text=True, in_sweep="data")
    RATING_FIELD: str = setting("rating", "The column of ratings.", text=True, in_sweep="data")
    TIME_FIELD: str = setting("timestamp", "The column of times.", text=True, in_sweep="data")
    LABEL_FIELD: str = setting("label", "The column of labels.", text=True, in_sweep="data")
    field_separator: str = setting("\t", "Between the fields of a line.", in_sweep="data")
    seq_separator: str = setting(" ", "Between the values of a field.", in_sweep="data")
    filter_inter_by_user_or_item: bool = setting(
        True,
        "Leave out interactions of users or items without a line in their file.",
        also=(ITEM_ONLY,),
        in_sweep="data",
        beside_fixed_split=False,
    )
    user_inter_num_interval: str | None = setting(
        "[0,inf)",
        "Keep users with so many interactions.",
        text=True,
        optional=True,
        check=interval_of,
        words="an interval such as [5,inf), or several with ; between them",
        in_sweep="data",
        beside_fixed_split=False,
    )
    item_inter_num_interval: str | None = setting(
        "[0,inf)",
        "Keep items with so many interactions.",
        text=True,
        optional=True,
        check=interval_of,
        words="an interval such as [5,inf), or several with ; between them",
        in_sweep="data",
        beside_fixed_split=False,
    )
    val_interval: Mapping[str, Any] | None = setting(
        None,
        "Keep interactions whose values lie in intervals.",
        optional=True,
        example="{rating: '[3,inf)'}",
        check=intervals_of,
        in_sweep="data",
        beside_fixed_split=False,
    )
    alias_of_user_id: Any = setting(None, "Columns of user ids.", in_sweep="data")
    alias_of_item_id: Any = setting(None, "Columns of item ids.", in_sweep="data")
    alias_of_entity_id: Any = setting(None, "Columns of entity ids.", in_sweep="data")
    alias_of_relation_id: Any = setting(None, "Columns of relation ids.", in_sweep="data")
    preload_weight: Any = setting(None, "Columns of given vectors.", in_sweep="data")
    normalize_field: Any = setting(None, "Columns that are scaled to [0, 1].", in_sweep="data")
    normalize_all: Any = setting(None, "Scale all columns of numbers.", in_sweep="data")
    discretization: Any = setting(None, "How numbers become classes.", in_sweep="data")
    threshold: Any = setting(None, "Labels by a column's value.", in_sweep="data")
    seq_len: Any = setting(None, "Longest sequence by column.", in_sweep="data")
    MAX_ITEM_LIST_LENGTH: int = setting(
        50, "Longest history of sequential models.", low=1, in_sweep="data"
    )


@dataclass(frozen=True)
class Words:
    """What a command is asked for beside settings."""

    model: str | None = setting(None, "The model.", text=True, check=anything, in_sweep="data")
    dataset: str | None = setting(
        None,
        "The data set.",
        text=True,
        check=anything,
        in_sweep="data",
        shared_in_comparison=True,
    )
    settings_from: Mapping[str, str] | None = setting(
        None,
        "Written by a run: the preset and the tuned file that its settings came from.",
        like={},
        optional=True,
        example="{preset: mined-ssm}",
        check=origin,
        free_at_resume=True,
        in_sweep="sweep",
        written="never",
    )
    config_files: list[str] | None = setting(
        None, "Files of settings.", computed=True, shared_in_comparison=True
    )
    out: str | None = setting(
        None, "The folder for what is written.", text=True, computed=True, shared_in_comparison=True
    )
    result_file: str | None = setting(
        None, "A copy of result.json.", text=True, computed=True, shared_in_comparison=True
    )


@dataclass(frozen=True)
class Computed:
    """What RecBole or this package works out from other settings, or that names a place here."""

    MODEL_TYPE: Any = setting(None, "Kind of the model.", computed=True)
    MODEL_INPUT_TYPE: Any = setting(None, "Kind of its input.", computed=True)
    eval_type: Any = setting(None, "Kind of the metrics.", computed=True)
    device: Any = setting(None, "The device of PyTorch; see use_gpu and gpu_id.", computed=True)
    valid_neg_sample_args: Any = setting(None, "Of eval_args.mode.", computed=True)
    test_neg_sample_args: Any = setting(None, "Of eval_args.mode.", computed=True)
    single_spec: Any = setting(None, "Of RecBole's own several processes.", computed=True)
    local_rank: Any = setting(None, "Of RecBole's own several processes.", computed=True)
    valid_metric_bigger: Any = setting(None, "Of valid_metric.", computed=True)
    tuned_file: Any = setting(None, "The shipped settings that are used.", computed=True)
    tuned_as: Any = setting(None, "The data set whose tuned settings are used.", computed=True)
    how_to_get: Any = setting(None, "Where a data set comes from.", computed=True)


GROUPS: list[type] = [Ours, Model, Training, Machine, Evaluation, Data, Words, Computed]
"""All settings that are declared; RecBole's models have more."""


def declared() -> dict[str, Spec]:
    """Name -> declaration of every setting."""
    return {spec.name: spec for group in GROUPS for spec in dataclasses.fields(group)}


def having(flag: str, value: Any = True) -> tuple[str, ...]:
    """Names of the settings whose declaration has ``flag`` (see :func:`setting`) at ``value``."""
    return tuple(name for name, spec in declared().items() if spec.metadata[flag] == value)


def with_declared(keys: Iterable[str]) -> frozenset[str]:
    """Settings that are read with a model: those of the host, and what is declared for all models.

    Args:
        keys: of the host, for the model.
    """
    groups = [group for group in GROUPS if not getattr(group, "OF_SOME_MODELS", False)]
    ours = {spec.name for group in groups for spec in dataclasses.fields(group)}
    return frozenset({*keys, *ours} - set(having("computed")))


def check_value(spec: Spec, value: Any) -> Any:
    """A setting's value where it is allowed, a whole number as an integer.

    Raises:
        UsageError: it is not; the sentence says what is.
    """
    meta, key = spec.metadata, spec.name
    if value is None and meta["optional"]:
        return value
    if meta["check"]:
        meta["check"](value, key)
        return value
    if meta["example"]:
        if not isinstance(value, Mapping):
            raise UsageError(f"{key}: got {value!r}, allowed is {allowed_words(spec)}.")
        return value
    if meta["like"] is None:
        return value
    if meta["listed"] and isinstance(value, (list, tuple)):
        return [_check_one(spec, each) for each in value]
    return _check_one(spec, value)


def _check_one(spec: Spec, value: Any) -> Any:
    one = _one_value(spec)
    try:
        read = check_parameter(one, value, spec.name)
    except UsageError:  # with the value as it was written
        are = "allowed are" if spec.metadata["listed"] else "allowed is"
        raise UsageError(f"{spec.name}: got {value!r}, {are} {allowed_words(spec)}.") from None
    return read if isinstance(one.default, int) else value


def _one_value(spec: Spec) -> Spec:
    """A single value of a setting, as a parameter of :mod:`recbole_bns.common.params`."""
    like = spec.metadata["like"]
    like = like[0] if spec.metadata["listed"] else like
    return dataclasses.field(default=like, metadata=spec.metadata)


def allowed_words(spec: Spec) -> str:
    """What a setting may be, in words."""
    meta = spec.metadata
    if meta["words"]:
        return str(meta["words"])
    if meta["example"]:
        return f"a mapping such as {meta['example']}"
    if meta["check"] or meta["like"] is None:
        return ""
    return allowed(_one_value(spec))


def ours() -> tuple[str, ...]:
    """Names of this package's own settings."""
    groups = [group for group in GROUPS if getattr(group, "OURS", False)]
    return tuple(spec.name for group in groups for spec in dataclasses.fields(group))
