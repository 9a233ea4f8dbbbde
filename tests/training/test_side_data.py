"""RecBole's models as the prior of BNS: trained in one pass, or a run's checkpoint."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data import create_dataset
from recbole.utils import init_seed
from tiny import write_atomic, write_tiny

import recbole_bns
from recbole_bns.adapters.split import split
from recbole_bns.common.errors import UsageError
from recbole_bns.sampling.priors.item_models import Ridge, ease, interactions
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
    ours = torch.from_numpy(interactions(catalogue) @ ease(catalogue, Ridge(120.0)).numpy())
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


USER_HEADER = "user_id:token occupation:token age:float tags:token_seq"


def groups_of(folder: Path, column: str, absent: tuple[int, ...], **settings: Any) -> Any:
    """Training part, catalogue and the prior's groups of a copy of the tiny data set.

    Args:
        folder: of the data.
        column: of the .user file that is the prior.
        absent: users without a line; user 7 has a line without a value.
    """
    write_tiny(folder)
    rows = [
        (f"u{user}", "" if user == 7 else f"job{user % 3}", 20 + user, "a b")
        for user in range(40)
        if user not in absent
    ]
    write_atomic(folder / "tiny" / "tiny.user", USER_HEADER, rows)
    config = recbole_bns.BNSConfig(
        "BPR",
        "tiny",
        None,
        {
            "data_path": str(folder),
            "neg_sampler": "bns",
            "neg_sampler_args": {"prior": column},
            "use_gpu": False,
            **settings,
        },
    )
    init_seed(config["seed"], True)
    parts = split(config, create_dataset(config))
    return parts, create_samplers(config, parts)[0].core


def test_a_column_that_a_prior_loads_changes_no_interactions(tmp_path: Path) -> None:
    """RecBole drops the interactions of users without a line; the prior's own file does not."""
    kept = {}
    for prior in ("popularity", "occupation"):
        parts, core = groups_of(tmp_path / prior, prior, absent=(4, 5))
        kept[prior] = {
            name: sorted(
                zip(*(part.inter_feat[f].tolist() for f in ("user_id", "item_id")), strict=True)
            )
            for name, part in parts.items()
        }
        assert core.catalogue.user_num == 41
    assert kept["occupation"] == kept["popularity"]
    assert sum(map(len, kept["occupation"].values())) == 880


def test_users_without_a_group_are_a_group_of_their_own(tmp_path: Path) -> None:
    parts, core = groups_of(tmp_path, "occupation", absent=(4, 5))
    tokens = parts["train"].field2id_token["user_id"].tolist()
    group = {token: int(core.prior.row_of_user[number]) for number, token in enumerate(tokens)}
    assert group.pop("[PAD]") == 0
    unknown = {group[f"u{user}"] for user in (4, 5, 7)}
    assert len(unknown) == 1
    assert unknown == {max(group.values())}
    others = {group[f"u{user}"] for user in range(40) if user not in (4, 5, 7)}
    assert len(others) == 3
    assert not others & (unknown | {0})
    assert group["u0"] == group["u3"] != group["u1"]


@pytest.mark.parametrize(("column", "kind"), [("age", "float"), ("tags", "token_seq")])
def test_a_column_whose_values_are_no_groups_is_refused(
    tmp_path: Path, column: str, kind: str
) -> None:
    with pytest.raises(UsageError) as error:
        groups_of(tmp_path, column, absent=())
    assert str(error.value) == (
        f"neg_sampler_args.prior: '{column}' is a {kind} column of the data set's .user file, "
        "allowed: popularity, uniform, ease, itemknn, oracle, a .npy, .npz or .pt file, "
        "{model: NAME}, or a token column, whose values are groups of users "
        f"({column}:token in the file's header)."
    )
