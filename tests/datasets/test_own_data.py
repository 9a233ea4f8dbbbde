"""Files, frames and matrices of one's own become interactions: all shapes, all complaints."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import recbole_bns
from recbole_bns import UsageError, interactions
from recbole_bns.datasets.own import text
from recbole_bns.datasets.own.filters import Least, filtered

QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\0"), min_size=1)
Pairs = list[tuple[str, str]]


def pairs_of(data: Any) -> Pairs:
    users, items = data.user_ids[data.users], data.item_ids[data.items]
    return list(zip(users.tolist(), items.tolist(), strict=True))


def last_of_each(rows: Pairs) -> Pairs:
    return [row for place, row in enumerate(rows) if row not in rows[place + 1 :]]


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def refused(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(UsageError) as caught:
        interactions(*args, **kwargs)
    return str(caught.value)


# --- text --------------------------------------------------------------------------------------


@QUICK
@given(
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=12),
    st.sampled_from(",\t;|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
    st.booleans(),
)
def test_any_text_file_gives_the_pairs_that_were_written(
    tmp_path, rows, separator, quoting, end, encoding, gaps, zipped
):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerow(["item", "note", "user"])
    for user, item in rows:
        writer.writerow([item, "a note", user])
        file.write(end * gaps)
    data = file.getvalue().encode(encoding)
    path = tmp_path / ("clicks.csv.gz" if zipped else "clicks.csv")
    path.write_bytes(gzip.compress(data) if zipped else data)
    found = interactions(path)
    assert found.name == "clicks"
    assert pairs_of(found) == last_of_each(rows)


@settings(QUICK, max_examples=15)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8), st.integers(1, 40))
def test_where_blocks_end_does_not_matter(tmp_path, rows, block):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("user", "item"), *rows])
    path = write(tmp_path / "clicks.csv", file.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", block)
        assert pairs_of(interactions(path)) == last_of_each(rows)


def test_ids_are_the_words_of_the_file(tmp_path):
    path = write(tmp_path / "a.csv", "user,item\n007,1.0\n7,1\n né , NA\n7,nan\n")
    assert pairs_of(interactions(path)) == [
        ("007", "1.0"),
        ("7", "1"),
        (" né ", " NA"),
        ("7", "nan"),
    ]


def test_a_file_without_names_has_columns_by_number(tmp_path):
    path = write(tmp_path / "u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    said = refused(path)
    assert said.startswith(f"{path}, line 1: '196', '242', '3', '881250949' look like values, not")
    found = interactions(path, user="1", item="2", time="4")
    assert pairs_of(found) == [("196", "242"), ("186", "302")]
    assert found.time.tolist() == [881250949, 891717742]
    assert found.rating is None
    named = write(tmp_path / "a.csv", "user,item\n1,2\n")
    assert "its first line has names: 'user', 'item'" in refused(named, user="1", item="2")


def test_spaces_behind_the_separator_are_none_of_the_values(tmp_path):
    path = write(tmp_path / "a.csv", 'user, item, title\n1, 7, x\n2, 8, "y, z"\n')
    assert pairs_of(interactions(path)) == [("1", "7"), ("2", "8")]


def test_a_row_is_an_interaction_and_a_single_one_is_enough(tmp_path):
    found = interactions(write(tmp_path / "a.csv", "user,item\nann,7"))
    assert pairs_of(found) == [("ann", "7")]
    assert "1 interactions of 1 users with 1 items, density 100 %" in str(found)


def test_an_atomic_file_is_one_of_ones_own_too(tmp_path):
    path = write(tmp_path / "a.inter", "user_id:token\titem_id:token\ttimestamp:float\nu\ti\t5\n")
    found = interactions(path)
    assert (pairs_of(found), found.time.tolist()) == ([("u", "i")], [5])


BAD = {
    "": "there is no line in it; allowed is a line of names, such as user,item, and a line",
    "user,item\n": "there is no row in it; allowed is one or more of 'user', 'item'",
    "user,item\n1,2\n1\n": "line 3: it has 1 fields ('1'), but there are 2 columns ('user', ",
    "user,item\n1,2\n\n1,2,3\n": "line 4: it has 3 fields ('1', '2', '3'), but there are 2",
    'user,item\n1,2\n3,"4\n': "line 3: it is malformed (unexpected end of data)",
    "user,item\n1,2\n,2\n": "line 3, column 'user': the id is missing; fill it in",
    'user,item\n1,2\n"a\tb",2\n': "line 3, column 'user': the id 'a\\tb' holds a tab, which ends",
    'user,item\n1,2\n3,"a\nb"\n': "line 3, column 'item': the id 'a\\nb' holds a line break",
    "user,item\n1,[PAD]\n": "line 2, column 'item': the id '[PAD]' is RecBole's word for nobody",
    "user,item,user\n1,2,3\n": "there are 2 columns 'user'; allowed is one of each name",
    "a,b\n1,2\n": "no column is recognised as that of users; its columns are 'a', 'b'; name it",
    "user,movie,book\n1,2,3\n": "'movie' and 'book' may each be the column of items; its columns",
    "user,item,rating\n1,2,4\n1,3,good\n": "column 'rating': got 'good', allowed are finite number",
    "user,item,rating\n1,2,4\n1,3,\n": "line 3, column 'rating': the number is missing; fill it in",
    "user,item,weight\n1,2,0\n": "line 2, column 'weight': got 0, allowed are weights > 0",
    "user,item,label\n1,2,0\n1,3,0\n": "column 'label' is 0 in all rows",
    "user,item,time\n1,2,2024-01-01\n1,3,2024-13-01\n": "line 3, column 'time': got '2024-13-01'",
    "user,item,time\n1,2,2024-01-01\n1,3,soon\n": "line 3, column 'time': got 'soon', allowed are",
    "user::item\n1::2\n": "its fields are separated by '::', allowed is one character",
}


@pytest.mark.parametrize("content", BAD)
def test_what_is_wrong_in_a_text_file_is_one_sentence(tmp_path, content):
    path = write(tmp_path / "a.csv", content)
    given = {"time": "time"} if "time" in content else {}
    given |= {"rating": "rating"} if "rating" in content else {}
    said = refused(path, **given)
    assert BAD[content] in said
    assert said.startswith(str(path))
    assert said.endswith(".")


def test_text_in_another_encoding_is_refused_with_its_line(tmp_path):
    path = write(tmp_path / "a.csv", "user,item\n1,2\né,3\n", "latin-1")
    assert refused(path).startswith(f"{path}, line 3: byte e9 is no text in utf-8")


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet.gz", "a", ".csv", "nope.csv"])
def test_what_is_no_file_of_interactions_is_refused(tmp_path, name):
    assert "allowed" in refused(tmp_path / name)


def test_a_packed_file_that_is_cut_off_is_one_sentence(tmp_path):
    rows = "".join(f"{user},{user % 7}\n" for user in range(60_000))
    packed = gzip.compress(f"user,item\n{rows}".encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert "it cannot be read: Compressed file ended before" in refused(tmp_path / "a.csv.gz")
    (tmp_path / "b.csv.gz").write_bytes(b"user,item\n1,2\n")
    assert "it cannot be read: Not a gzipped file" in refused(tmp_path / "b.csv.gz")


# --- columns -----------------------------------------------------------------------------------

HEADS = {
    "userId,movieId,rating,timestamp": "user item rating time",
    "customer_id;sku;quantity;order_no": "user item weight -",
    "visitorid,event,itemid,transactionid,timestamp": "user - item - time",
    "reviewerID,asin,reviewerName,overall,unixReviewTime": "user item - rating time",
    "uid,iid,click,ts": "user item label time",
    "user,user_id,item": "- user item",
    "User ID,Product Code,Stars,Date": "user item rating time",
}
VALUES = {"time": "1700000000", "label": "1", "rating": "4", "weight": "2"}


@pytest.mark.parametrize("head", HEADS)
def test_columns_are_recognised_by_their_names(tmp_path, head):
    separator = ";" if ";" in head else ","
    roles, names = HEADS[head].split(), head.split(separator)
    row = separator.join(VALUES.get(role, f"v{n}") for n, role in enumerate(roles))
    said = str(interactions(write(tmp_path / "a.csv", f"{head}\n{row}\n")))
    for role, name in zip(roles, names, strict=True):
        assert (f"{role} = {name}" in said) == (role != "-")


def test_a_name_alone_makes_no_time_rating_label_or_weight():
    frame = pd.DataFrame(
        {"user": [1], "item": [2], "time": ["noon"], "score": ["good"], "like": [7], "count": ["x"]}
    )
    found = interactions(frame)
    assert found.columns == {}
    assert found.negatives is None
    assert "not taken: time, score, like, count" in str(found)


def test_a_column_that_is_named_is_taken_and_none_takes_none():
    frame = pd.DataFrame({"user": [1], "item": [2], "a": [9], "rating": [4], "time": [1]})
    found = interactions(frame, user="a", rating="none")
    assert (pairs_of(found), found.rating, found.time.tolist()) == ([("9", "2")], None, [1])
    assert refused(frame, user="usr") == (
        "user='usr': the frame has no column of this name; did you mean 'user'?; its columns are "
        "'user', 'item', 'a', 'rating', 'time'."
    )
    assert "named for user and item" in refused(frame, user="a", item="a")
    assert "allowed is the name of a column" in refused(frame, time=["time"])


# --- kinds of values ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, 2.0], ["1", "2"]),
        (["1.0", "007"], ["1.0", "007"]),
        ([2**60, -1], [str(2**60), "-1"]),
        (pd.array([3, 4], dtype="Int64"), ["3", "4"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (np.array(["é", 5], object), ["é", "5"]),
    ],
)
def test_ids_of_a_frame_are_the_words_of_its_values(values, words):
    found = interactions(pd.DataFrame({"user": values, "item": [1, 2]}))
    assert [user for user, _ in pairs_of(found)] == words


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1, None], "the frame, row 2, column 'user': the id is missing"),
        (["a", ""], "the frame, row 2, column 'user': the id is missing"),
        ([1.5, 2], "the frame, row 1, column 'user': got 1.5 for an id, allowed are whole numbers"),
        (["a", b"b"], "the frame, row 2, column 'user': got b'b' for an id"),
        (["a", "\ud800"], "the frame, row 2, column 'user': the id '\\ud800' is no text"),
    ],
)
def test_ids_that_are_none_are_refused_with_their_row(values, sentence):
    frame = pd.DataFrame({"user": pd.Series(values, dtype=object), "item": [1, 2]})
    assert refused(frame).startswith(sentence)


MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "time",
    [
        1700000000,
        1700000000000,
        1700000000000000,
        1700000000000000000,
        "2023-11-14T22:13:20Z",
        "2023-11-14 22:13:20 UTC",
        "2023-11-14T23:13:20+01:00",
        MOMENT,
        pd.Timestamp(MOMENT),
    ],
)
def test_times_of_every_kind_are_the_same_seconds(time):
    found = interactions(pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": [time, time]}))
    assert found.time.tolist() == [1700000000, 1700000000]
    assert "2023-11-14 22:13 to 2023-11-14 22:13 (UTC)" in str(found)


@pytest.mark.parametrize("days", [["2024-01-31", "2024-02-01"], [20240131, 20240201]])
def test_days_are_times(days):
    found = interactions(pd.DataFrame({"user": [1, 2], "item": [1, 2], "date": days}))
    assert np.diff(found.time).tolist() == [86400]
    assert found.time[0] == datetime(2024, 1, 31, tzinfo=timezone.utc).timestamp()


def test_numbers_that_are_no_dates_stay():
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": [3, 880]})
    assert interactions(frame).time.tolist() == [3, 880]
    assert "3 to 880 (no dates; the order counts)" in str(interactions(frame))


def test_columns_of_dates_are_read_too():
    frame = pd.DataFrame({"user": [1], "item": [2], "when": [date(1970, 1, 2)]})
    assert interactions(frame).time.tolist() == [86400]


# --- doubles, labels, weights ------------------------------------------------------------------


def test_of_doubles_the_latest_stays_and_weights_are_added():
    frame = pd.DataFrame(
        {
            "user": [1, 2, 1, 1, 2],
            "item": [7, 8, 7, 7, 9],
            "time": [30, 1, 20, 30, 2],
            "rating": [1, 2, 3, 4, 5],
            "count": [1, 10, 100, 1000, 7],
        }
    )
    found = interactions(frame)
    assert pairs_of(found) == [("2", "8"), ("1", "7"), ("2", "9")]
    assert found.rating.tolist() == [2, 4, 5]
    assert found.weight.tolist() == [10, 1101, 7]
    assert "doubles: 2 rows repeat a pair of user and item; the latest row of a pair" in str(found)
    without = interactions(frame, time="none")
    assert without.rating.tolist() == [2, 4, 5]
    assert "the last row of a pair" in str(without)


@pytest.mark.parametrize(
    ("yes", "no"), [(1, 0), (True, False), ("1", "0"), ("True", "false"), (1.0, 0.0)]
)
def test_rows_with_label_0_are_known_dislikes(yes, no):
    labels = [yes, no, no, yes, no, no]
    frame = pd.DataFrame({"user": [1, 1, 1, 2, 3, 1], "item": [1, 2, 1, 2, 1, 2], "click": labels})
    found = interactions(frame)
    assert pairs_of(found) == [("1", "1"), ("2", "2")]
    users, items = found.user_ids[found.negatives[0]], found.item_ids[found.negatives[1]]
    assert list(zip(users, items, strict=True)) == [("1", "2")]
    assert "dislikes: 4 rows, of which 3 are left out" in str(found)


def test_a_label_that_is_neither_is_refused():
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "x": [1, 2]})
    assert "row 2, column 'x': got 2 for a label, allowed are 1 and True" in refused(
        frame, label="x"
    )


def test_known_dislikes_come_from_a_second_source_too(tmp_path):
    write(tmp_path / "a.csv", "who,item\n1,7\n2,8\n3,9\n")
    skips = write(tmp_path / "b.csv", "who,item,rating\n1,8,x\n1,7,x\n9,7,x\n1,8,x\n2,99,x\n")
    found = interactions(tmp_path / "a.csv", user="who", negatives=skips)
    assert pairs_of(found) == [("1", "7"), ("2", "8"), ("3", "9")]
    assert found.negatives.tolist() == [[0], [1]]
    folder = found.write(tmp_path / "out")
    assert (folder / "a.neg").read_text() == "user_id:token\titem_id:token\n1\t8\n"
    lonely = write(tmp_path / "c.csv", "user,item\n1,8\n")
    assert "has no column of this name" in refused(tmp_path / "a.csv", user="who", negatives=lonely)


# --- k-core ------------------------------------------------------------------------------------


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40, unique=True),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_core_is_what_taking_out_one_by_one_leaves(rows, least_user, least_item):
    left = set(rows)
    while True:
        users, items = [u for u, _ in left], [i for _, i in left]
        bad = {
            (u, i) for u, i in left if users.count(u) < least_user or items.count(i) < least_item
        }
        if not bad:
            break
        left.remove(min(bad))
    data = interactions(pd.DataFrame(rows, columns=["user", "item"]))
    least = Least(None, least_user, least_item)
    if not left:
        with pytest.raises(UsageError, match="no interaction of 'data' is left"):
            filtered(data, least)
        return
    found = filtered(data, least)
    assert pairs_of(found) == [(str(u), str(i)) for u, i in rows if (u, i) in left]
    assert len(found.user_ids) == len({u for u, _ in left})
    assert any("dropped" in line for line in found.told) == (len(found) < len(data))


# --- frames and matrices -----------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "user": ["a", "b", "a"],
        "item": [1, 2, 2],
        "rating": [3.5, 4, 5],
        "time": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
    }
)


def equal(found: Any, other: Any) -> bool:
    return str(found) == str(other) and pairs_of(found) == pairs_of(other)


class Interchanged:
    """What speaks the interchange protocol and nothing else."""

    def __dataframe__(self, *args: Any, **kwargs: Any) -> Any:
        return FRAME.__dataframe__(*args, **kwargs)


@pytest.mark.parametrize("kind", ["interchange", "polars", "pyarrow"])
def test_frames_of_every_kind_are_the_same(kind):
    if kind == "interchange":
        other: Any = Interchanged()
    elif kind == "polars":
        other = pytest.importorskip("polars").from_pandas(FRAME)
    else:
        other = pytest.importorskip("pyarrow").Table.from_pandas(FRAME)
    assert equal(interactions(other), interactions(FRAME))


@pytest.mark.parametrize(
    "ending", ["csv", "tsv", "jsonl", "ndjson", "parquet", "csv.gz", "jsonl.gz"]
)
def test_files_of_every_kind_are_the_same(tmp_path, ending):
    path = tmp_path / f"clicks.{ending}"
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        FRAME.to_parquet(path)
    elif ending.startswith(("jsonl", "ndjson")):
        FRAME.to_json(path, orient="records", lines=True, date_unit="s")
    else:
        FRAME.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    assert equal(interactions(path), interactions(FRAME))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"user": 1}', "line 3, column 'item': the id is missing"),
        ("[1, 2]", "line 3: got '[1, 2]', allowed is a JSON object a line"),
        ("{", "line 3: it is no JSON"),
        ('{"user": {"a": 1}, "item": 2}', "line 3, column 'user': got {'a': 1}, allowed are whole"),
    ],
)
def test_what_is_wrong_in_json_lines_is_one_sentence(tmp_path, line, sentence):
    good = json.dumps({"user": 1, "item": "7"})
    path = write(tmp_path / "a.jsonl", f"{good}\n\n{line}\n")
    assert refused(path).startswith(f"{path}, {sentence}")


def test_a_matrix_has_users_in_rows_and_its_values_are_ratings_unless_all_are_1():
    matrix = sparse.csr_matrix(np.array([[0, 2.0, 0], [1, 0, 5]]))
    found = interactions(matrix)
    assert pairs_of(found) == [("0", "1"), ("1", "0"), ("1", "2")]
    assert found.rating.tolist() == [2, 1, 5]
    assert interactions(matrix.sign()).rating is None
    weighed = interactions(matrix, user=["x", "y"], item=[10, 20, 30], weight="values")
    assert pairs_of(weighed) == [("x", "20"), ("y", "10"), ("y", "30")]
    assert (weighed.rating, weighed.weight.tolist()) == (None, [2, 1, 5])
    disliked = interactions(matrix, negatives=sparse.coo_array(np.array([[1, 0, 0], [0, 0, 1]])))
    assert disliked.negatives.tolist() == [[0], [1]]
    assert "allowed are 2 ids" in refused(matrix, user=["x"])
    assert "a matrix has no columns by name" in refused(matrix, time="time")


def test_what_is_none_of_these_is_refused():
    assert refused([(1, 2)]).startswith("interactions: got a list, allowed are a DataFrame")
    assert refused(FRAME, name="a/b").startswith("name: got 'a/b', allowed is a name")


def test_what_is_written_is_what_was_read(tmp_path):
    found = interactions(FRAME, name="mine")
    folder = found.write(str(tmp_path))
    assert (folder / "mine.inter").read_text().splitlines() == [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "a\t1\t3.5\t1704067200",
        "b\t2\t4.0\t1704153600",
        "a\t2\t5.0\t1704240000",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["mine.inter", "mine.settings.yaml"]
    assert equal(interactions(folder / "mine.inter"), interactions(FRAME, name="mine")) is False
    assert pairs_of(interactions(folder / "mine.inter")) == pairs_of(found)
    assert repr(found) == "<Interactions 'mine': 3 of 2 users with 2 items>"
    assert isinstance(found, recbole_bns.Interactions)
