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
    mixer: NotRequired[str]
    """What made the negatives; only where something did."""
    mixer_args: NotRequired[Settings]
    """All of its parameters."""


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
    mixer: NotRequired[str]
    mixer_args: NotRequired[Settings]
    mine: NotRequired[Settings]
    """All parameters of mined positives; only where there are any."""
    preset: NotRequired[str]
    """Only where one was asked for."""
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
    run_dir: str
    checkpoint: str


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
