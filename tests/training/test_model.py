"""``recbole_bns.load``: what a trained model answers, against loops over its own scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data.interaction import Interaction

import recbole_bns
from recbole_bns import Model, UsageError, run_recbole_bns
from recbole_bns.sampling import Catalogue
from recbole_bns.training.folding import folded
from recbole_bns.training.ranking import best, nearest_by_cosine

VECTORS = ("BPR", "LightGCN", "SASRec")
MODELS = (*VECTORS, "NeuMF", "EASE")
TIMED = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
SEQUENTIAL: dict[str, Any] = {
    **TIMED,
    "loss_type": "BPR",
    "hidden_size": 8,
    "inner_size": 8,
    "n_layers": 1,
}
OWN: dict[str, dict[str, Any]] = {
    "SASRec": {**SEQUENTIAL, "MAX_ITEM_LIST_LENGTH": 12},
    "GRU4Rec": {
        **TIMED,
        "loss_type": "BPR",
        "hidden_size": 8,
        "embedding_size": 8,
        "num_layers": 1,
    },
    "FPMC": {**TIMED, "embedding_size": 8},
    "EASE": {"neg_sampler": "none"},
    "BPR": {"embedding_size": 8},
    "LightGCN": {"embedding_size": 8},
}


@pytest.fixture(scope="module")
def model(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """The model of a name, trained when it is first asked for."""
    made: dict[str, Model] = {}
    given = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 1,
        "train_batch_size": 256,
        "show_progress": False,
        "neg_sampler": "rns",
    }

    def of(name: str) -> Model:
        if name not in made:
            folder = tmp_path_factory.mktemp("run") / name
            run_recbole_bns(name, "tiny", None, {**given, **OWN.get(name, {})}, out=folder)
            made[name] = recbole_bns.load(folder)
        return made[name]

    return of


@pytest.fixture(scope="module")
def rows(data_path: Path) -> pd.DataFrame:
    """The file's interactions in the order of time."""
    table = pd.read_csv(data_path / "tiny" / "tiny.inter", sep="\t", dtype=str)
    table.columns = [name.partition(":")[0] for name in table.columns]
    return table.assign(at=table["timestamp"].astype(float)).sort_values("at")


def scores_of(served: Model) -> np.ndarray:
    """Scores (40, 60), user by user, as the model itself gives them of a user or a history."""
    model, found = served.trained.model, []
    known = pd.Index(served.items)
    data = served.trained.parts["train"]
    for user in served.users:
        number = torch.tensor([data.token2id("user_id", user)])
        if hasattr(model, "ITEM_SEQ"):
            items = torch.from_numpy(known.get_indexer(HISTORIES[user]) + 1)[
                -model.max_seq_length :
            ]
            columns = {
                "item_id_list": items.unsqueeze(0),
                "item_length": torch.tensor([len(items)]),
            }
            with torch.no_grad():
                row = model.full_sort_predict(Interaction({**columns, "user_id": number}))
            found.append(row.view(-1)[1:].numpy())
        else:
            every = torch.arange(1, 61)
            pairs = Interaction({"user_id": number.expand(60), "item_id": every})
            with torch.no_grad():
                found.append(model.predict(pairs).view(-1).numpy())
    return np.stack(found)


HISTORIES: dict[str, list[str]] = {}


@pytest.fixture(scope="module", autouse=True)
def _histories(rows: pd.DataFrame) -> None:
    HISTORIES.update({user: list(mine["item_id"]) for user, mine in rows.groupby("user_id")})


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MODELS, "GRU4Rec"])
def test_lists_are_those_of_a_loop_over_the_models_own_scores(model, name):
    served = model(name)
    scores = scores_of(served)
    table = served.recommend(k=5, never=["i1", "i2"])
    assert list(table.columns) == ["user_id", "item_id", "rank", "score"]
    for place, user in enumerate(served.users):
        mine = table[table["user_id"] == user]
        free = [
            (scores[place, column], item)
            for column, item in enumerate(served.items)
            if item not in {*HISTORIES[user], "i1", "i2"}
        ]
        wanted = sorted((score for score, _ in free), reverse=True)[:5]
        assert mine["rank"].tolist() == [1, 2, 3, 4, 5]
        np.testing.assert_allclose(mine["score"], wanted, rtol=1e-4, atol=1e-5)
        by_item = {item: score for score, item in free}
        of_these = [by_item[item] for item in mine["item_id"]]
        np.testing.assert_allclose(of_these, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_scores_of_pairs_are_those_of_the_lists(model, name):
    served = model(name)
    pairs = served.recommend(["u3", "u1", "u7"], k=9).sample(frac=1, random_state=0)
    np.testing.assert_allclose(served.score(pairs), pairs["score"], rtol=1e-4, atol=1e-5)
    users, items = pairs["user_id"], pairs["item_id"]
    renamed = pd.DataFrame({"a": users, "b": items})
    for given in ((users, items), (list(users), np.array(items)), (renamed,)):
        found = served.score(*given)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, pairs["score"], rtol=1e-4, atol=1e-5)
    assert served.score([], []).shape == (0,)


@pytest.mark.parametrize("name", ["BPR", "SASRec"])
def test_only_never_and_what_is_left(model, name):
    served = model(name)
    seen = HISTORIES["u5"]
    free = [item for item in served.items if item not in seen]
    table = served.recommend("u5", only=[*free[:3], *seen[:4]])
    assert set(table["item_id"]) == set(free[:3])
    assert table["rank"].tolist() == [1, 2, 3]
    assert served.recommend("u5", only=seen).empty
    assert list(served.recommend("u5", only=seen).columns) == [
        "user_id",
        "item_id",
        "rank",
        "score",
    ]
    assert len(served.recommend("u5", 99, only=seen, exclude="none")) == len(seen)
    assert set(served.recommend("u5", k=999)["item_id"]) == set(free)
    assert set(served.recommend("u5", k=999, never=free[2:])["item_id"]) == set(free[:2])
    assert served.recommend("u5", only=free[:2], never=free[:2]).empty
    assert served.recommend("u5", only=[]).empty
    assert served.recommend([]).empty


@pytest.mark.parametrize("name", ["BPR", "SASRec"])
def test_items_of_the_held_out_parts_may_be_recommended(model, name):
    served = model(name)
    held = {
        (user, item)
        for phase in ("valid", "test")
        for user, item in _pairs(served.trained.parts[phase])
    }
    for user in ("u0", "u9"):
        mine = {item for owner, item in held if owner == user}
        found = set(served.recommend(user, 999, exclude="train")["item_id"])
        assert mine <= found
        assert found == set(served.items) - (set(HISTORIES[user]) - mine)


def _pairs(part: Any) -> list[tuple[str, str]]:
    users, items = part.inter_feat["user_id"], part.inter_feat["item_id"]
    names = part.field2id_token
    return [(names["user_id"][u], names["item_id"][i]) for u, i in zip(users, items, strict=True)]


def test_before_what_is_held_out_a_history_is_that_of_the_validation(model):
    served = model("SASRec")
    part = served.trained.parts["valid"].inter_feat
    with torch.no_grad():
        rows = served.trained.model.full_sort_predict(part)
    table = served.recommend(k=60, exclude="train").set_index(["user_id", "item_id"])["score"]
    assert len(part) == 40
    for place, (user, item) in enumerate(_pairs(served.trained.parts["valid"])):
        number = served.items.index(item) + 1
        assert table[user, item] == pytest.approx(float(rows[place, number]), abs=1e-4)


def test_numbers_are_the_words_they_are_written_as_and_repeats_count_once(model):
    served = model("BPR")
    assert served.recommend(["u3", "u1", "u3"], 2)["user_id"].tolist() == ["u3", "u3", "u1", "u1"]
    assert served.recommend({"u3"}, 1)["user_id"].tolist() == ["u3"]
    with pytest.raises(UsageError, match="--users: '3' is no user"):
        served.recommend(3)


def test_scores_that_are_no_numbers_are_left_out(caplog):
    scores = torch.tensor([[1.0, torch.nan, 3.0], [torch.nan, torch.nan, torch.nan]])
    columns = torch.tensor([4, 6, 7])
    found = best(lambda who: scores[who].clone(), torch.arange(2), columns, 3, 1)
    assert (found.rows.tolist(), found.columns.tolist()) == ([0, 0], [7, 4])
    assert "4 scores are no numbers (NaN)" in caplog.text
    with pytest.raises(UsageError, match="none of its 3 scores is a number"):
        best(lambda who: scores[who].clone(), torch.tensor([1]), columns, 3, 1)


# --- like ones ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VECTORS)
def test_like_items_have_the_greatest_cosine(model, name):
    served = model(name)
    vectors = served.item_vectors
    table = served.similar_items(["i5", "i0", "i5"], k=4, never="i7")
    assert table["item_id"].tolist() == ["i5"] * 4 + ["i0"] * 4
    for item, rows in table.groupby("item_id"):
        mine = vectors.loc[item]
        cosines = {
            other: mine @ row / np.linalg.norm(mine) / np.linalg.norm(row)
            for other, row in vectors.iterrows()
            if other not in (item, "i7")
        }
        wanted = sorted(cosines.values(), reverse=True)[:4]
        np.testing.assert_allclose(rows["score"], wanted, atol=1e-5)
        np.testing.assert_allclose([cosines[x] for x in rows["similar"]], wanted, atol=1e-5)
    assert len(served.similar_items(None, k=1)) == 60
    assert len(served.similar_items("i3", k=999)) == 59
    assert served.similar_items("i3", only="i3").empty


def test_like_users_have_the_greatest_cosine(model):
    served = model("BPR")
    table = served.similar_users("u4", k=3)
    vectors = served.user_vectors
    units = vectors.div(np.linalg.norm(vectors, axis=1), axis=0)
    wanted = (units @ units.loc["u4"]).drop("u4").nlargest(3)
    assert table["similar"].tolist() == wanted.index.tolist()
    np.testing.assert_allclose(table["score"], wanted, atol=1e-5)


def test_a_vector_of_zeros_is_like_nothing():
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    found = nearest_by_cosine(vectors, torch.tensor([2]), torch.tensor([1, 2, 3]), 9)
    assert sorted(found.columns.tolist()) == [1, 3]
    assert found.scores.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", VECTORS)
def test_products_of_vectors_are_the_scores(model, name):
    served = model(name)
    products = served.user_vectors.to_numpy() @ served.item_vectors.to_numpy().T
    np.testing.assert_allclose(products, scores_of(served), rtol=1e-4, atol=1e-5)
    assert served.user_vectors.index.tolist() == served.users
    assert served.user_vectors.index.name == "user_id"


@pytest.mark.parametrize("name", ["NeuMF", "EASE"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda served: served.user_vectors,
        lambda served: served.similar_items("i1"),
        lambda served: served.recommend_for_history(["i1"]),
    ],
)
def test_without_vectors_it_says_so(model, name, ask):
    with pytest.raises(UsageError, match=f"{name} has no vectors whose dot products"):
        ask(model(name))


# --- people who were not in training -----------------------------------------------------------


@pytest.mark.parametrize("name", ["BPR", "LightGCN"])
def test_someone_new_is_the_solution_of_the_ridge(model, name):
    served = model(name)
    vectors = served.item_vectors.astype(float)
    lists = [["i3", "i8", "i3", "i40"], ["i7"]]
    table = served.recommend_for_history(lists, k=60, exclude="none", regularisation=0.5)
    ridge = 0.5 * np.mean([row @ row for _, row in vectors.iterrows()])
    for place, history in enumerate(lists):
        left, right = ridge * np.eye(8), np.zeros(8)
        for item in set(history):
            mine = vectors.loc[item].to_numpy()
            left += np.outer(mine, mine)
            right += mine
        wanted = vectors @ np.linalg.solve(left, right)
        found = table[table["history"] == place].set_index("item_id")["score"]
        np.testing.assert_allclose(found[wanted.index], wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["BPR", "SASRec"])
def test_what_someone_new_is_not_recommended(model, name):
    served = model(name)
    table = served.recommend_for_history(["i3", "i8"], k=99, never="i9")
    assert table["history"].tolist() == [0] * 57
    assert not {"i3", "i8", "i9"} & set(table["item_id"])
    mine = served.recommend_for_history([["i3"], ["i4"]], only=["i3", "i4"])
    assert mine[["history", "item_id", "rank"]].to_numpy().tolist() == [[0, "i4", 1], [1, "i3", 1]]


@pytest.mark.parametrize("name", ["SASRec", "GRU4Rec"])
def test_a_sequential_model_encodes_the_history_of_whomever_it_is(model, name):
    served = model(name)
    known = served.recommend(["u5", "u6"], k=6)
    for user in ("u5", "u6"):
        new = served.recommend_for_history(HISTORIES[user], k=6)
        mine = known[known["user_id"] == user]
        assert new["item_id"].tolist() == mine["item_id"].tolist()
        np.testing.assert_allclose(new["score"], mine["score"], rtol=1e-4, atol=1e-5)
    reversed_ = served.recommend_for_history(HISTORIES["u5"][::-1], k=6)
    assert abs(reversed_["score"] - known["score"][:6]).max() > 1e-4, "order does not matter"


def test_a_great_regularisation_points_where_the_mean_does():
    torch.manual_seed(0)
    items = torch.randn(9, 4)
    mean = items[[2, 5, 7]].mean(0)
    found = folded([torch.tensor([2, 5, 7])], items, 1e7)[0]
    assert torch.cosine_similarity(found, mean, dim=0) > 0.99999


BAD: list[tuple[Callable[[Model], Any], str]] = [
    (lambda m: m.recommend("u99"), "--users: 'u99' is no user of the data set; did you mean 'u9'?"),
    (lambda m: m.recommend(only="i99"), "--only: 'i99' is no item of the data set; did you mean"),
    (lambda m: m.recommend(never="x"), "--never: 'x' is no item of the data set; it has 60 items"),
    (lambda m: m.recommend(k=0), "--k: got 0, allowed is an integer >= 1"),
    (lambda m: m.recommend(k=2.5), "--k: got 2.5"),
    (lambda m: m.recommend(exclude="some"), "--exclude: got 'some', allowed: all, train, none"),
    (lambda m: m.similar_items("i99"), "--similar: 'i99' is no item"),
    (lambda m: m.similar_users("i1"), "--users: 'i1' is no user"),
    (lambda m: m.score(["u1"], ["i99"]), "items: 'i99' is no item"),
    (lambda m: m.score(["u1", "u2"], ["i1"]), "score: got 2 users and 1 items"),
    (lambda m: m.score([("u1", "i1")]), "score: allowed is a DataFrame of pairs, or users and"),
    (lambda m: m.score(pd.DataFrame({"a": [1], "b": [2], "c": [3]})), "columns a, b, c; allowed"),
    (lambda m: m.recommend_for_history([]), "--history: got no item"),
    (lambda m: m.recommend_for_history([["i1"], []]), "--history: got no item"),
    (
        lambda m: m.recommend_for_history(["i1", ["i2"]]),
        "--history: allowed is a list of items, or",
    ),
    (lambda m: m.recommend_for_history(["i99"]), "--history: 'i99' is no item"),
    (lambda m: m.recommend_for_history(["i1"], exclude="train"), "--exclude: got 'train', allowed"),
    (lambda m: m.recommend_for_history(["i1"], regularisation=0), "regularisation: got 0"),
]


@pytest.mark.parametrize(("ask", "sentence"), BAD)
def test_what_cannot_be_asked(model, ask, sentence):
    with pytest.raises(UsageError) as raised:
        ask(model("BPR"))
    assert str(raised.value).startswith(sentence) or sentence in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_what_cannot_be_asked_of_a_sequential_model(model):
    with pytest.raises(UsageError, match="SASRec encodes the list, and solves nothing"):
        model("SASRec").recommend_for_history(["i1"], regularisation=1.0)
    with pytest.raises(UsageError, match="--history: FPMC asks for more than a list of items"):
        model("FPMC").recommend_for_history(["i1"])
    assert len(model("FPMC").recommend("u1", 3)) == 3


def test_it_says_what_it_is(model):
    assert repr(model("BPR")) == "<BPR on tiny: 40 users, 60 items>"
    assert sorted(model("BPR").users) == sorted(f"u{number}" for number in range(40))


# --- a loop is the oracle of the blocks --------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("k", [1, 4, 50])
def test_blocks_and_masks_against_a_loop(at_once, k):
    draw = np.random.default_rng(3)
    users, items = 12, 20
    scores = torch.from_numpy(draw.normal(size=(users, items)).astype(np.float32))
    seen = draw.random((users, items)) < 0.4
    seen[:, 0], seen[4, 1:] = False, True
    who, what = map(torch.from_numpy, seen.nonzero())
    catalogue = Catalogue(who, what, users, items, bitmap=False)
    columns = torch.from_numpy(np.sort(draw.permutation(np.arange(1, items))[:13]))
    asked = torch.from_numpy(draw.permutation(users)[:9])
    found = best(lambda x: scores[x][:, columns], asked, columns, k, at_once, catalogue)
    wanted = []
    for user in asked.tolist():
        free = [(float(scores[user, c]), c) for c in columns.tolist() if not seen[user, c]]
        for rank, (score, column) in enumerate(sorted(free, reverse=True)[:k], 1):
            wanted.append((user, column, rank, score))
    assert list(zip(*(part.tolist() for part in found), strict=True)) == wanted


def test_a_user_without_a_history_is_named_or_left_out(model, monkeypatch, caplog):
    served = model("SASRec")
    monkeypatch.setattr(served._served, "without_history", lambda exclude: torch.tensor([3]))
    user = served.users[2]
    with pytest.raises(UsageError, match=f"--users: '{user}' has a single interaction"):
        served.recommend(["u1", user])
    with pytest.raises(UsageError, match=f"--users: '{user}' has a single interaction"):
        served.score([user], ["i1"])
    assert user not in set(served.recommend(k=1)["user_id"])
    assert f"1 users, such as '{user}', have a single interaction" in caplog.text
