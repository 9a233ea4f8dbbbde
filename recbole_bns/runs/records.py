"""What rooms hand one another about a run, with types: its settings, its result, its record."""

from __future__ import annotations

from typing import Any, Protocol, TypedDict

from typing_extensions import NotRequired  # Python 3.10 lacks it

Settings = dict[str, Any]
"""Settings by name, as YAML has them."""
Metrics = dict[str, float]
"""``ndcg@20`` -> value, names in lower case."""


class RunConfig(Protocol):
    """What is read of RecBole's ``Config``, ours or stock; a setting that is not there is None."""

    final_config_dict: Settings
    """What holds in the end."""
    internal_config_dict: Settings
    """What RecBole's and our files say."""
    external_config_dict: Settings
    """What the user wrote."""
    variable_config_dict: Settings
    """That part of it that is in no file."""
    model_class: type[Any]

    def __getitem__(self, item: str) -> Any: ...

    def __setitem__(self, key: str, value: Any) -> None: ...

    def __contains__(self, key: str) -> bool: ...


class LossFacts(TypedDict):
    """What ``result.json`` says of a loss over many negatives."""

    loss: str
    loss_args: Settings
    """All of its parameters."""
    loss_similarity: str
    """``dot`` or ``cosine``, in training."""
    score_similarity: str
    """The same, in evaluation."""
    loss_decided: NotRequired[Settings]
    """The values of its parameters that are words, such as ``auto``: the data decide them."""
    mixer: NotRequired[str]
    """What made the negatives; only where something did."""
    mixer_args: NotRequired[Settings]
    """All of its parameters."""


class SplitFacts(TypedDict):
    """What ``result.json`` says of the parts of the data set."""

    split: str
    """The setting; ``none``: as ``eval_args`` or the files say."""
    interactions: dict[str, int]
    """By phase: ``train``, ``valid``, ``test``."""
    later: float | None
    """Share of training that is later than the first test interaction; None without times."""
    later_of_user: float | None
    """Share of the test for whose user training has a later interaction; None without times."""
    left_out: NotRequired[dict[str, int]]
    """By phase, of users or items that training lacks; ``split: time`` alone, and so the next."""
    first: NotRequired[dict[str, float | int]]
    """By phase, the time of the first interaction, as in the file."""
    sentence: str
    """All of it for people."""


class AllFacts(TypedDict):
    """What ``result.json`` says of the model that was trained on all interactions."""

    epochs: int
    """As many as the tested model had: the best epoch."""
    scheduled_epochs: int
    """What schedules are told: ``epochs``, so that each epoch goes as that of the first one."""
    interactions: int
    train_epoch_seconds: list[float]
    checkpoint: str


class RunResult(TypedDict):
    """The content of ``result.json``; epochs are counted from 1, nothing is rounded."""

    model: str
    dataset: str
    neg_sampler: str
    neg_sampler_label: str
    neg_sampler_args: Settings
    neg_sample_num: int
    loss: NotRequired[str]
    """This and what follows, as in :class:`LossFacts`: only where it is not the model's own."""
    loss_args: NotRequired[Settings]
    loss_similarity: NotRequired[str]
    score_similarity: NotRequired[str]
    loss_decided: NotRequired[Settings]
    mixer: NotRequired[str]
    mixer_args: NotRequired[Settings]
    mine: NotRequired[Settings]
    """All parameters of mined positives; only where there are any."""
    preset: NotRequired[str]
    """Only where one was asked for."""
    batch_decided: NotRequired[Settings]
    """Positives a step and their learning rate; only where ``train_batch_size`` is ``auto``."""
    tuned_file: str | None
    seed: int
    versions: dict[str, str]
    valid_metric: str
    best_valid_result: Metrics | None
    test_result: Metrics
    best_epoch: int
    epochs: int
    train_epoch_seconds: list[float]
    idle: NotRequired[list[str]]
    """Given parameters that another one switches off; only where there are some."""
    nproc: NotRequired[int]
    """Only where several processes trained."""
    split: NotRequired[SplitFacts]
    """Only where times are loaded, or the setting ``split`` is made use of."""
    all: NotRequired[AllFacts]
    """Of the second training of ``train_on: all``."""
    run_dir: str
    checkpoint: str
    """The weights that were tested."""


class RunRecord(TypedDict):
    """What a run of a comparison leaves in ``runs/<row>-<seed>.json``."""

    sampler: str
    """The row: a sampler's name, or a variant's, with ``+loss`` where it was crossed with one."""
    loss: NotRequired[str]
    """Its loss, ``model`` for the model's own; records of old, whose it was, lack it."""
    seed: int
    own: Settings
    """Settings of this row alone, as the user wrote them."""
    settings: Settings
    """All settings but the seed, resolved."""
    data: NotRequired[str]
    """Digest of the data set's files; records of old lack it."""
    jobs: NotRequired[int]
    threads: NotRequired[int]
    cores: NotRequired[int]
    device: NotRequired[str]
    status: str
    """``done`` or ``failed``."""
    result: NotRequired[RunResult]
    """Of a run that is done."""
    error: NotRequired[str]
    """Of a run that failed: one sentence."""
    log: NotRequired[str]
    """Of a run that failed: the file with all that it said."""
