"""What somebody most likely meant by a setting that nothing reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from recbole_bns.common.errors import nearest

from .declared import NO_MIXER, OWN_LOSS

ARGS, LOSS_ARGS, MIXER_ARGS = "neg_sampler_args", "loss_args", "mixer_args"

FLAGS: dict[str, tuple[str, ...]] = {
    "run": ("out", "result_file", "resume", "config_files", "data"),
    "compare": ("samplers", "losses", "variants", "seeds", "reference", "record", "jobs"),
    "tune": (
        "num_samples",
        "sweep",
        "search",
        "scheduler",
        "time_budget",
        "cpus_per_trial",
        "gpus_per_trial",
        "max_concurrent",
        "address",
        "storage_path",
    ),
    "predict": ("checkpoint", "users", "exclude"),
    "export": ("format",),
    "report": ("png",),
    "prepare": (
        *("overwrite", "user", "item", "time", "rating", "label"),
        *("min_rating", "min_user", "min_item"),
    ),
    "runs": ("sort", "json"),
    "samplers": ("markdown",),
    "losses": ("markdown",),
    "mixers": ("markdown",),
}
"""Flags of the commands that are no settings."""

_MEANT: dict[str, str] = {
    "learning_rate": "lr rate eta step_size base_lr init_lr learn_rate",
    "embedding_size": "dim d dims emb_dim emb_size embed_dim embed_size embedding_dim "
    "hidden_dim hidden_size latent_dim factors n_factors num_factors n_dim rank",
    "train_batch_size": "batch_size batch bs b batchsize n_batch minibatch_size",
    "eval_batch_size": "test_batch_size valid_batch_size eval_batch test_batch",
    "stopping_step": "patience early_stop early_stopping early_stopping_patience es_patience",
    "topk": "k ks top_k topks at cutoff cutoffs",
    "epochs": "n_epochs num_epochs max_epochs epoch_num train_epochs n_iter iterations max_iter",
    "reg_weight": "l2 reg reg_lambda l2_reg l2_weight lambda_reg regularization regularisation "
    "weight_l2 regs",
    "weight_decay": "wd decay l2 reg reg_lambda l2_reg l2_weight lambda_reg regularization "
    "regularisation",
    "WEIGHT_FIELD": "weight_column weight_col weights sample_weight interaction_weight use_weights",
    "use_gpu": "device cuda gpu use_cuda accelerator no_cuda cpu",
    "gpu_id": "gpu_ids gpus cuda_device cuda_visible_devices",
    "neg_sampler": "sampler negative_sampler neg_sampling_strategy sampling strategy method ns",
    "neg_sample_num": "num_neg n_neg neg_num num_negatives n_negatives num_negs "
    "negative_num neg_ratio neg_samples num_neg_samples",
    "neg_sampler_args": "args sampler_args neg_args sampler_params neg_sampler_params params "
    "sampler_kwargs",
    "loss": "loss_fn loss_function loss_name criterion objective loss_type",
    "loss_args": "loss_params loss_kwargs",
    "mixer": "mix mixing mixup negative_mixer synthetic made_negatives",
    "mixer_args": "mixer_params mixer_kwargs mix_args",
    "mine": "mined mining mined_positives positive_mining mine_positives soft_positives",
    "preset": "recipe profile presets",
    "loss_similarity": "similarity sim cosine distance normalize normalise",
    "score_similarity": "eval_similarity test_similarity predict_similarity",
    "loss_log_q": "log_q logq logq_correction sampling_correction",
    "loss_mask": "mask mask_positives mask_false_negatives",
    "loss_weight": "posterior_weight term_weight",
    "neg_shared": "shared shared_negatives share_negatives batch_negatives in_batch",
    "seed": "random_seed random_state rng manual_seed",
    "data_path": "data_dir dataset_path path root datadir data_root data_folder",
    "dataset": "data_set data_name ds",
    "model": "model_name backbone net",
    "worker": "workers num_workers n_workers n_jobs",
    "threads": "num_threads n_threads nthreads cpu_threads thread omp_num_threads",
    "learner": "optimizer optim opt optimiser",
    "lr_schedule": "lr_scheduler lr_decay lr_step scheduler_step gamma_lr",
    "valid_metric": "metric monitor early_stopping_metric",
    "metrics": "eval_metrics measures",
    "eval_step": "eval_every valid_every val_every eval_freq eval_interval test_every",
    "clip_grad_norm": "clip grad_clip max_norm max_grad_norm clip_grad gradient_clip",
    "show_progress": "verbose progress quiet progress_bar silent tqdm",
    "nproc": "n_proc processes num_processes world_size ddp nproc_per_node",
    "valid_ratio": "val_ratio valid_size val_size validation_split valid_split",
    "eval_args": "split test_size test_ratio eval_mode eval_setting",
    "n_layers": "layers num_layers n_layer layer_num gcn_layers",
    "neg_record": "record recording",
    "checkpoint_every": "save_every save_step checkpoint_interval",
    "log_wandb": "wandb use_wandb",
    "enable_amp": "amp fp16 mixed_precision",
    "MAX_ITEM_LIST_LENGTH": "max_len maxlen max_seq_len max_seq_length",
    "user_inter_num_interval": "min_user_inter user_k_core kcore k_core min_inter",
    "item_inter_num_interval": "min_item_inter item_k_core",
}
_COMMANDS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("n_trials", "trials", "num_trials"), ("num_samples", "tune")),
    **dict.fromkeys(("timeout", "budget", "time_limit"), ("time_budget", "tune")),
    **dict.fromkeys(("space", "search_space"), ("sweep", "tune")),
    **dict.fromkeys(("baseline", "baseline_sampler"), ("reference", "compare")),
    **dict.fromkeys(("parallel", "n_parallel"), ("jobs", "compare")),
    **dict.fromkeys(("n_seeds", "num_seeds", "repeats", "runs"), ("seeds", "compare")),
    **dict.fromkeys(("neg_samplers", "methods"), ("samplers", "compare")),
    **dict.fromkeys(("output", "output_dir", "out_dir", "save_dir", "save_path"), ("out", "run")),
    **dict.fromkeys(("resume_from", "continue"), ("resume", "run")),
    **dict.fromkeys(("config", "config_file", "config_file_list", "cfg"), ("config_files", "run")),
}
_ARGS_MEANT: dict[str, str] = {
    "candidate_num": "candidates n_candidates num_candidates candidate_size cand_num m pool_size",
    "temperature": "temp",
    "tau": "temperature temp",
}
_LOSS_ARGS_MEANT: dict[str, str] = {
    "temperature": "tau temp",
    "negative_weight": "neg_weight w_neg negative_weights",
    "margin": "gap",
}


class Chosen(NamedTuple):
    """What the settings choose, by which a parameter may be meant."""

    sampler: str = ""
    loss: str = OWN_LOSS
    mixer: str = NO_MIXER


class Parameters(NamedTuple):
    """Names of parameters, as users write them: by sampler, by loss, and by mixer."""

    of_samplers: Mapping[str, Sequence[str]]
    of_losses: Mapping[str, Sequence[str]]
    of_mixers: Mapping[str, Sequence[str]]

    def kinds(self, chosen: Chosen) -> list[Kind]:
        """Of each axis, what holds its parameters, and whose there are."""
        return [
            Kind(ARGS, "neg_sampler", chosen.sampler, self.of_samplers, _ARGS_MEANT),
            Kind(LOSS_ARGS, "loss", chosen.loss, self.of_losses, _LOSS_ARGS_MEANT),
            Kind(MIXER_ARGS, "mixer", chosen.mixer, self.of_mixers, _ARGS_MEANT),
        ]


class Kind(NamedTuple):
    """An axis: samplers, losses, or mixers."""

    args: str
    """The setting that holds parameters."""
    key: str
    """The setting that names one."""
    chosen: str
    of_all: Mapping[str, Sequence[str]]
    """Names of parameters, as users write them, of each."""
    meant: Mapping[str, str]
    """Parameter -> other words for it."""

    @property
    def own(self) -> Sequence[str]:
        """Parameters of what is chosen."""
        return self.of_all.get(self.chosen, ())


def meant(key: str, known: Collection[str], chosen: Chosen, parameters: Parameters) -> str:
    """A hint for a sentence about ``key``: ``"; did you mean 'learning_rate'?"``, or nothing.

    Args:
        key: what was written.
        known: settings that are read.
        chosen: sampler, loss and mixer.
        parameters: of all samplers, losses and mixers.
    """
    word = key.lower().replace("-", "_")
    kinds = parameters.kinds(chosen)
    hints = [_own(word, kind, {}) for kind in kinds]
    hints += [_own(word, kind, kind.meant) for kind in kinds]
    if any(hints):
        return next(filter(None, hints))
    synonyms = [name for name, words in _MEANT.items() if word in words.split() and name in known]
    if synonyms:
        return f"; did you mean '{synonyms[0]}'?"
    for command, flags in FLAGS.items():
        if word in flags:
            return f"; --{word} is a flag of recbole-bns {command}"
    if word in _COMMANDS:
        return "; did you mean --{}, a flag of recbole-bns {}?".format(*_COMMANDS[word])
    for kind in kinds:
        if word in kind.of_all:
            with_it = f"with {kind.key}: {word}"
            return f"; in a run a parameter of {word} is written '{kind.args}.KEY', {with_it}"
    others = [text for kind in kinds if (text := _of_others(word, kind))]
    if others:
        return f"; did you mean {', or '.join(others)}?"
    args = [f"{kind.args}.{name}" for kind in kinds for name in kind.own]
    return nearest(key, [*known, *args])


def _own(word: str, kind: Kind, meant: Mapping[str, str]) -> str:
    """A hint for a word that is a parameter of what is chosen, or another word for one."""
    words = ((name, {name, *meant.get(name, "").split()}) for name in kind.own)
    name = next((name for name, several in words if word in several), None)
    return f"; did you mean '{kind.args}.{name}', a parameter of {kind.chosen}?" if name else ""


def _of_others(word: str, kind: Kind) -> str:
    """Parameters of a name, of those of a kind that are not chosen, in words; else nothing."""
    usual = next((name for name, words in _LOSS_ARGS_MEANT.items() if word in words.split()), word)
    name = usual if kind.args == LOSS_ARGS else word
    having = [each for each, names in kind.of_all.items() if name in names]
    if not having:
        return ""
    of = ", ".join(having)
    return f"'{kind.args}.{name}', a parameter of {of} ({kind.key} is {kind.chosen})"
