"""Files of known dislikes: found, checked, told of, and drawn from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SKIPS, Settings, build_model, prepare, write_tiny

from recbole_bns import UsageError
from recbole_bns.adapters.acting import check_commands
from recbole_bns.datasets.check import check_files, digest

Make = Callable[..., Any]
HEADER = "user_id:token\titem_id:token\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a data set of one's own beside which a file can lie."""
    folder = tmp_path_factory.mktemp("own")
    write_tiny(folder)
    return folder


def write_dislikes(home: Path, text: str, name: str = "tiny.neg") -> Path:
    path = home / "tiny" / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def beside(home: Path) -> Any:
    """Writes ``tiny.neg`` beside the data, and takes it away again."""
    yield lambda text: write_dislikes(home, text)
    (home / "tiny" / "tiny.neg").unlink(missing_ok=True)


def known(train: Any) -> set[tuple[str, str]]:
    """The pairs that a sampler takes for known dislikes, in the file's words."""
    core, data = train._sampler.core, train._dataset
    listed = core.known.listed
    users, items = (data.field2id_token[name] for name in ("user_id", "item_id"))
    pairs = zip(listed.owners.tolist(), listed.positives.tolist(), strict=True)
    return {(users[user], items[item]) for user, item in pairs}


def positives(home: Path) -> list[tuple[str, str]]:
    lines = (home / "tiny" / "tiny.inter").read_text(encoding="utf-8").splitlines()[1:]
    return [(words[0], words[1]) for words in (line.split("\t") for line in lines)]


def free_pairs(home: Path, user: str, number: int) -> list[tuple[str, str]]:
    taken = set(positives(home))
    every = [(user, f"i{item}") for item in range(60)]
    return [pair for pair in every if pair not in taken][:number]


def text_of(pairs: list[tuple[str, str]]) -> str:
    return HEADER + "".join(f"{user}\t{item}\n" for user, item in pairs)


def test_what_is_no_dislike_is_counted_and_said(
    make: Make, home: Path, beside: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Unknown ids, a pair twice, and a training positive, which wins; one held out stays."""
    free = free_pairs(home, "u1", 3)
    beside(text_of(free))
    train, _, test = prepare(make("BPR", neg_sampler="given", data_path=str(home)))
    tokens = {name: train._dataset.field2id_token[name] for name in ("user_id", "item_id")}

    def pair_of(loader: Any) -> tuple[str, str]:
        row = loader._dataset.inter_feat
        return tuple(str(tokens[name][int(row[name][0])]) for name in tokens)  # type: ignore[return-value]

    trained, held = pair_of(train), pair_of(test)
    pairs = [*free, free[0], trained, held, ("nobody", "i1"), ("u1", "nothing")]
    path = beside(text_of(pairs))
    caplog.set_level(logging.WARNING)
    weighed = {"loss": "ssm", "loss_weight": "posterior", "neg_sample_num": 1}
    mined = {"mine.share": 0.5}
    for sampler, others in (
        ("given", {}),
        ("bns", {}),
        ("bns", mined),
        ("bns", mined | weighed),  # what all three look at is told once
    ):
        caplog.clear()
        train = prepare(make("BPR", neg_sampler=sampler, data_path=str(home), **others))[0]
        assert known(train) == {*free, held}
        assert [record.getMessage() for record in caplog.records] == [
            f"{path}: 4 known dislikes; of its 8 lines 2 are of a user or an item that the data "
            "set does not have; 1 are there twice; 1 are interactions of the training part too, "
            "where the positive wins.",
            f"{path}: 1 known dislikes are interactions of the validation or test part; they stay "
            "dislikes, since training knows nothing of those.",
        ]


def test_half_of_the_batches_negatives_are_known(make: Make, home: Path, beside: Any) -> None:
    everyone = [pair for user in range(40) for pair in free_pairs(home, f"u{user}", 10)]
    beside(text_of(everyone))
    train = prepare(make("BPR", neg_sampler="given", data_path=str(home)))[0]
    core = train._sampler.core
    drawn = [core.known.holds(b["user_id"], b["neg_item_id"]) for b in train for _ in range(2)]
    base = float((core.known.number / core.catalogue.negative_num)[1:].mean())
    assert float(torch.cat(drawn).float().mean()) == pytest.approx(0.5 + base / 2, abs=0.05)


def test_a_named_file_comes_before_the_one_beside(make: Make, home: Path, beside: Any) -> None:
    """``none`` is neither; other columns are passed over; and what is read is the digest's."""
    one, two = free_pairs(home, "u3", 2)
    beside(text_of([one]))
    wide = "item_id:token\tseen:float\tuser_id:token\n" + f"{two[1]}\t3\t{two[0]}\n"
    named = write_dislikes(home, wide, "shown.txt")
    given: Settings = {"neg_sampler": "bns", "data_path": str(home)}
    assert known(prepare(make(**given))[0]) == {one}
    config = make(**given, negatives=str(named))
    assert known(prepare(config)[0]) == {two}
    assert prepare(make(**given, negatives="none"))[0]._sampler.core.known is None
    before = digest(config)
    write_dislikes(home, wide + f"{one[1]}\t1\t{one[0]}\n", "shown.txt")
    assert digest(config) != before


def test_a_named_file_is_found_from_elsewhere(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SKIPS.parent)
    config = make(neg_sampler="given", negatives=SKIPS.name)
    monkeypatch.chdir(tmp_path)
    assert config["negatives"] == str(SKIPS)
    check_commands(config)


BAD: list[tuple[str, str]] = [
    (HEADER, r"tiny\.neg: there is no line in it but the first"),
    ("user_id:token\tbook:token\nu1\ti1\n", r"tiny\.neg, line 1: got the columns user_id:token, b"),
    (
        "user_id:token\titem_id:float\nu1\t1\n",
        "line 1: .*allowed for known dislikes are user_id:to",
    ),
    (HEADER + "u1\ti1\nu2\n", r"tiny\.neg, line 3: 'u2' is malformed"),
    (HEADER + "u1\t\n", r"tiny\.neg, line 2"),
    ("user,item\nu1,i1\n", "no field of a RecBole atomic file"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD)
@pytest.mark.parametrize("sampler", ["given", "bns"])
def test_bad_files_are_refused(
    make: Make, home: Path, beside: Any, text: str, sentence: str, sampler: str
) -> None:
    beside(text)
    with pytest.raises(UsageError, match=sentence):
        prepare(make("BPR", neg_sampler=sampler, data_path=str(home)))


def test_columns_are_checked_before_the_data_are_read(make: Make, home: Path, beside: Any) -> None:
    beside("user_id:token\tbook:token\nu1\ti1\n")
    with pytest.raises(UsageError, match=r"tiny\.neg, line 1: got the columns"):
        check_files(make("BPR", neg_sampler="rns", data_path=str(home)))


def test_without_a_file_it_is_refused_before_the_data_are_read(make: Make) -> None:
    with pytest.raises(UsageError) as error:
        check_commands(make("BPR", neg_sampler="given"))
    assert "neg_sampler 'given' draws known dislikes, but the data set has no file" in str(error)
    with pytest.raises(UsageError, match="negatives: there is no file '/nowhere'"):
        check_commands(make("BPR", neg_sampler="rns", negatives="/nowhere"))
    with pytest.raises(UsageError, match="the data set has no file of them"):
        prepare(make("BPR", neg_sampler="given", negatives="none"))
    check_commands(make("BPR", neg_sampler="bns"))


def test_a_file_with_none_of_the_datas_pairs(make: Make, home: Path, beside: Any) -> None:
    beside(text_of([("nobody", "nothing"), positives(home)[0], *positives(home)[:0]]))
    free = text_of([("nobody", "nothing")])
    beside(free)
    with pytest.raises(UsageError, match=r"none of the 1 pairs of .*tiny\.neg is one here"):
        prepare(make("BPR", neg_sampler="given", data_path=str(home)))
    prepare(make("BPR", neg_sampler="bns", data_path=str(home)))


def test_what_is_not_looked_at_is_said(
    make: Make, home: Path, beside: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    prepare(make("BPR", neg_sampler="bns", neg_sampler_args={"given_share": 0.5}))
    assert "given_share: got 0.5, but the data set has no known dislikes" in caplog.text
    beside(text_of(free_pairs(home, "u1", 2)))
    prepare(make("BPR", neg_sampler="dns", data_path=str(home)))
    assert (
        "neg_sampler 'dns' does not look at known dislikes; given, bns and bns_plus" in caplog.text
    )


def test_resumed_and_seeded_epochs_draw_the_same(make: Make) -> None:
    config = make("BPR", neg_sampler="given", negatives=str(SKIPS), neg_sample_num=2)
    drawn = []
    for seed in (1, 1, 2):
        config["seed"] = seed
        train = prepare(config)[0]
        build_model(config, train)
        drawn.append(torch.cat([b["neg_item_id"] for b in train if len(b)]).sort().values)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
