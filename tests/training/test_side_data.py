"""RecBole's models as the prior of BNS: trained in one pass, or a run's checkpoint."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data import create_dataset
from recbole.utils import init_seed

import recbole_bns
from recbole_bns.adapters.split import split
from recbole_bns.common.errors import UsageError
from recbole_bns.sampling.priors.item_models import ease, interactions
from recbole_bns.training.loaders import create_samplers


def parts_of(**settings: Any) -> tuple[Any, dict[str, Any]]:
    """Settings and parts of ML-100K."""
    config = recbole_bns.BNSConfig(
        "BPR",
        "ml-100k",
        None,
        {
            "neg_sampler": "bns_plus",
            "tuned": False,
            **settings,
        },
    )
    return config, data_of(config["seed"])


@cache
def data_of(seed: int) -> dict[str, Any]:
    """Parts of ML-100K, which no prior changes."""
    config = recbole_bns.BNSConfig("BPR", "ml-100k", None, {"neg_sampler": "rns", "seed": seed})
    init_seed(seed, True)
    return split(config, create_dataset(config))


def prior_of(prior: Any, **settings: Any) -> tuple[torch.Tensor, Any]:
    """P of all pairs of a fresh sampler, and its catalogue."""
    core = create_samplers(*parts_of(neg_sampler_args={"prior": prior}, **settings))[0].core
    users = torch.arange(core.catalogue.user_num)
    items = torch.arange(core.catalogue.item_num).expand(len(users), -1)
    return core.prior(users, items), core.catalogue


def test_recboles_ease_is_ours() -> None:
    """Two programs, two solvers: the values of pairs that are no interaction agree."""
    theirs, catalogue = prior_of({"model": "EASE", "reg_weight": 120.0})
    ours = torch.from_numpy(interactions(catalogue) @ ease(catalogue, 120.0).numpy())
    free = ~catalogue.positive_mask(torch.arange(catalogue.user_num))
    assert torch.allclose(theirs[1:, 1:][free[1:, 1:]], ours[1:, 1:][free[1:, 1:]], atol=2e-3)
    assert float(theirs.max()) > 0.8


def test_another_model_knows_the_held_out_items() -> None:
    """AUC of held-out pairs against pairs that nobody has, by the values of the prior."""
    parts = parts_of()[1]
    values, catalogue = prior_of({"model": "ItemKNN"})
    held = [parts["test"].inter_feat[f] for f in (parts["test"].uid_field, parts["test"].iid_field)]
    draw = torch.Generator().manual_seed(0)
    others = torch.randint(1, catalogue.item_num, held[1].shape, generator=draw)
    unknown = ~catalogue.is_positive(held[0], others)
    above = values[held[0], held[1]][unknown] > values[held[0], others][unknown]
    assert float(above.float().mean()) > 0.75


REFUSED = [
    ({"model": "EAS"}, "neg_sampler_args.prior.model: got 'EAS'; did you mean 'EASE'?; allowed"),
    ({"model": "BPR"}, "neg_sampler_args.prior.model: got 'BPR'; allowed are models that are made"),
    ({"k": 5}, "neg_sampler_args.prior.model: got None; allowed are models"),
    ({"model": "EASE", "reg": 5}, "neg_sampler_args.prior.reg: no setting of EASE"),
    ("no/such.pt", "neg_sampler_args.prior: "),
]


@pytest.mark.parametrize(("prior", "sentence"), REFUSED)
def test_what_is_no_prior_is_refused(prior: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        prior_of(prior)
    assert str(error.value).startswith(sentence)


def test_a_runs_checkpoint_is_a_prior_unless_it_knows_the_held_out_pairs(tmp_path: Path) -> None:
    settings = {"neg_sampler": "rns", "epochs": 3, "show_progress": False, "tuned": False}
    recbole_bns.run_recbole_bns("BPR", "ml-100k", None, settings, out=tmp_path / "run")
    path = str(tmp_path / "run" / "checkpoints" / "best.pt")
    values, catalogue = prior_of(path)
    assert bool(((values >= 0) & (values <= 1)).all())
    taken = catalogue.positive_mask(torch.arange(catalogue.user_num))
    assert float(values[1:, 1:][taken[1:, 1:]].mean()) > 2 * float(values[1:, 1:].mean())
    # As a probability of an interaction it is right on average.
    assert float(values[1:, 1:].mean()) == pytest.approx(float(taken.float().mean()), rel=0.05)
    with pytest.raises(UsageError, match=r"was trained on \d+ of the \d+ pairs that this run hold"):
        prior_of(path, seed=7)
