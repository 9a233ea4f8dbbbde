"""Settings: RecBole's ``Config`` with our layers, checked keys and no ``eval`` of what users type.

Order, later wins: RecBole's files, our overall, model, data set, sampler, loss, mixer, tuned, the
preset, the user's files, the dict, the command line. Dotted keys
(``neg_sampler_args.candidate_num``) work everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config
from recbole.utils import ModelType

from recbole_bns.common.errors import UsageError, refusals
from recbole_bns.losses import get as get_loss
from recbole_bns.mixers import get as get_mixer
from recbole_bns.settings.checks import check_ranges
from recbole_bns.settings.declared import (
    NO_MIXER,
    NO_NEGATIVES,
    NO_SAMPLER,
    OWN_LOSS,
    declared,
)
from recbole_bns.settings.hints import Chosen
from recbole_bns.settings.presets import preset_of
from recbole_bns.settings.properties import OWN, PROPERTIES, cell, has_own, of_data, read_own
from recbole_bns.settings.words import merge, read_yaml, typed

from . import checks, splitting
from .acting import check_contradictions, idle_parameters
from .dataset import read_truly
from .keys import check_keys, drop_removed
from .protocol import check_protocol
from .reads import missing
from .sampler_settings import derive_train_neg_sample_args
from .saved import keep_keyed

UNSAMPLED = {
    "MultiDAE",
    "MultiVAE",
    "MacridVAE",
    "CDAE",
    "ENMF",
    "RaCT",
    "RecVAE",
    "DiffRec",
    "LDiffRec",
    "NCEPLRec",
    "CORE",
    "RepeatNet",
    "GRU4RecCPR",
    "SASRecCPR",
}
"""Models that RecBole trains without negatives: on whole rows, or in closed form."""


class BNSConfig(Config):
    """RecBole's ``Config`` for this package.

    The command line is not read; :mod:`recbole_bns.cli` hands it over in ``config_dict``.

    Attributes:
        remarks: sentences about settings of files that nothing reads here.
        idle: given parameters of the sampler that another one switches off.
        files: path -> settings, of the user's files.

    Args:
        model: name, or a model class.
        dataset: name.
        config_file_list: YAML files of the user.
        config_dict: settings of the user, dotted keys allowed.

    Raises:
        UsageError: unknown key, model, sampler or parameter, or a contradiction.
    """

    reads_truly = True
    """For :mod:`.dataset`: a data set of this ``Config`` holds what its files say."""

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: list[str] | None = None,
        config_dict: Mapping[str, Any] | None = None,
    ) -> None:
        self.remarks: list[str] = []
        read_truly()
        keep_keyed()
        with refusals("settings"):
            super().__init__(model, dataset, config_file_list, dict(config_dict or {}))

    def _load_config_files(self, file_list: list[str] | None) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        self.files = {}
        for path in file_list or []:
            self.files[str(path)] = drop_removed(read_yaml(path), f"config file '{path}': ")
            merge(merged, self.files[str(path)])
        return merged

    def _load_variable_config_dict(self, config_dict: Mapping[str, Any]) -> dict[str, Any]:
        return drop_removed(merge({}, {k: typed(v, k) for k, v in config_dict.items()}))

    def _load_cmd_line(self) -> dict[str, Any]:
        return {}

    def _merge_external_config_dict(self) -> None:
        given = merge(dict(self.file_config_dict), self.variable_config_dict)
        self.external_config_dict = drop_removed(given)

    def _get_model_and_dataset(self, model: Any, dataset: Any) -> tuple[str, type, str]:
        given = self.external_config_dict
        model = model or given.get("model") or "LightGCN"
        dataset = dataset or given.get("dataset") or "ml-100k"
        if isinstance(model, str):
            checks.check_model(model)
        anomalies = torch.is_anomaly_enabled()
        try:
            return super()._get_model_and_dataset(model, str(dataset))
        except ModuleNotFoundError as error:
            raise UsageError(missing(str(model), str(error.name))) from error
        finally:  # importing RecBole's SINE switches it on for everybody, and training is slow
            torch.autograd.set_detect_anomaly(anomalies)

    def _update_internal_config_dict(self, file: str) -> dict[str, Any]:
        settings = read_own(Path(file))  # parses it once; anew it is most of what a Config costs
        self.internal_config_dict.update(settings)
        return settings

    def _load_internal_config_dict(self, model: str, model_class: type, dataset: str) -> None:
        written = self.external_config_dict
        root = written.get("data_path", declared()["data_path"].default)
        owned = has_own(dataset, root)  # not the public data set of that name
        super()._load_internal_config_dict(model, model_class, OWN if owned else dataset)
        preset = preset_of(written)
        given = {**preset, **written}
        chosen = _chosen(given, {"neg_sampler": declared()["neg_sampler"].default})
        self.remarks += check_keys(self.files, self.variable_config_dict, model_class, chosen)
        known = self.internal_config_dict
        own = PROPERTIES
        for path in ("overall", f"model/{model}"):
            merge(known, read_own(own / f"{path}.yaml"))
        merge(known, of_data(dataset, root, [own / f"dataset/{dataset}.yaml"]))
        sampler, loss, mixer = chosen = _chosen(given, known)
        merge(known, {"eval_args": _protocol(model_class, sampler)})
        merge(known, read_own(own / f"sampler/{sampler}.yaml"))
        if loss != OWN_LOSS:  # one of another package has no file
            merge(known, {"neg_sample_num": get_loss(loss).negatives})
        merge(known, read_own(own / f"loss/{loss}.yaml"))
        if mixer != NO_MIXER:
            merge(known, {"neg_sample_num": get_mixer(mixer).negatives})
            merge(known, read_own(own / f"mixer/{mixer}.yaml"))
        of_set = OWN if owned else known.get("tuned_as", dataset)
        tuned = own / f"tuned/{of_set}/{model}/{cell(*chosen)}.yaml"
        known["tuned_file"] = None
        if given.get("tuned", known.get("tuned")) and tuned.is_file():
            merge(known, read_own(tuned))
            known["tuned_file"] = f"properties/{tuned.relative_to(own).as_posix()}"
        merge(known, preset)
        known["neg_sampler"], known["loss"], known["mixer"] = sampler, loss, mixer
        if loss != OWN_LOSS and known.get("loss_type"):
            known["loss_type"] = "BPR"  # by which RecBole's sequential models ask for negatives

    def _get_final_config_dict(self) -> dict[str, Any]:
        final = merge(dict(self.internal_config_dict), self.external_config_dict)
        final["neg_sampler"] = self.internal_config_dict["neg_sampler"]
        final["loss"] = self.internal_config_dict["loss"]
        final["mixer"] = self.internal_config_dict["mixer"]
        given = self.external_config_dict
        if "valid_metric" not in given and {"topk", "metrics"} & set(given):
            final["valid_metric"] = checks.default_metric(final)
        splitting.put_into(final, given)
        return final

    def _set_default_parameters(self) -> None:
        final, given = self.final_config_dict, self.external_config_dict
        check_ranges(final)
        splitting.check(self)
        checks.check_sampler(self)
        checks.check_metrics(final)
        check_protocol(final["eval_args"])
        self._check_trains_on_negatives()
        check_contradictions(self)
        if final["neg_sampler"] != NO_SAMPLER:
            final["train_neg_sample_args"] = derive_train_neg_sample_args(self, given)
        root = final["data_path"]
        if str(final["negatives"] or NO_NEGATIVES).lower() != NO_NEGATIVES:
            final["negatives"] = os.path.abspath(final["negatives"])  # a run may go on elsewhere
        super()._set_default_parameters()
        if self.dataset == "ml-100k" and "data_path" in given:
            final["data_path"] = os.path.join(root, self.dataset)
        checks.add_prior_column(self)
        self.idle = list(idle_parameters(self))

    def _init_device(self) -> None:
        final = self.final_config_dict
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if not final["use_gpu"]:
            final["gpu_id"] = ""
        elif "gpu_id" not in self.external_config_dict:
            several = ",".join(map(str, range(final["nproc"])))  # a GPU for each process
            final["gpu_id"] = several if visible is None else visible
        super()._init_device()
        if final["gpu_id"] == "":  # the CPU needs no change of what others may see
            del os.environ["CUDA_VISIBLE_DEVICES"]
            if visible is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = visible

    def _check_trains_on_negatives(self) -> None:
        final, kind = self.final_config_dict, self.model_class.type
        if final["neg_sampler"] == NO_SAMPLER:
            return
        reason = None
        if self.model in UNSAMPLED or kind in {ModelType.TRADITIONAL, ModelType.DECISIONTREE}:
            reason = "trains without negatives"
        elif kind == ModelType.KNOWLEDGE:
            reason = "draws negatives of its own from the knowledge graph"
        elif self.model == "BERT4Rec" or final.get("train_stage") == "pretrain":
            reason = "draws negatives of its own for the items that it masks"
        elif final.get("loss_type") == "CE" and final["loss"] == OWN_LOSS:
            reason = "has loss_type CE, which trains without negatives (use --loss_type=BPR)"
        if reason:
            raise UsageError(
                f"neg_sampler: got '{final['neg_sampler']}', but {self.model} {reason}; allowed is "
                f"'{NO_SAMPLER}'."
            )


def _chosen(given: Mapping[str, Any], known: Mapping[str, Any]) -> Chosen:
    """Sampler, loss and mixer: as given, else a mixer's own, else as ``known`` files have them."""
    mixer = str(given.get("mixer", known.get("mixer")) or NO_MIXER).lower()
    if mixer == NO_MIXER:
        unsaid = known
    else:
        cls = get_mixer(mixer)
        unsaid = {"neg_sampler": cls.sampler, "loss": cls.loss}
    sampler = given.get("neg_sampler", unsaid.get("neg_sampler"))
    loss = given.get("loss") or (OWN_LOSS if "loss" in given and mixer == NO_MIXER else None)
    name = NO_SAMPLER if sampler is None else str(sampler).lower()
    return Chosen(name, str(loss or unsaid.get("loss") or OWN_LOSS).lower(), mixer)


def _protocol(model_class: type, sampler: str) -> dict[str, Any]:
    """How models of other kinds than the general are tested, whatever the data set's file says.

    Sequential ones on each user's last items, as RecBole has it; context-aware ones that are
    trained on negatives by ranking, since the data set has no labels then.
    """
    kind = getattr(model_class, "type", None)
    if kind == ModelType.SEQUENTIAL:
        return {"split": {"LS": "valid_and_test"}, "order": "TO"}
    return {"mode": "full"} if kind == ModelType.CONTEXT and sampler != NO_SAMPLER else {}
