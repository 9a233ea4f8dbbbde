"""Groups in the report, tests of runs that no comparison has tested, and commands of runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_folders import write_compared, write_comparison, write_run
from scipy import stats

from recbole_bns import UsageError, analysis
from recbole_bns.analysis import groups, page, tables, tests
from recbole_bns.runs import commands
from recbole_bns.runs import groups as of_runs
from recbole_bns.runs.results import save

DNS = {"neg_sampler": "dns", "neg_sampler_label": "dns", "neg_sampler_args": {}}
RNS = {"neg_sampler": "rns", "neg_sampler_label": "rns", "neg_sampler_args": {}}


def add_groups(folder: Path, plus: float = 0.0) -> Path:
    """``groups.csv`` of 20 items with 0 to 19 interactions, as :func:`write_run` has them."""
    popularity = np.arange(20)
    items, activity = of_runs.item_groups(popularity), np.array([1, 2, 3, 4, 5, 6])
    measured = {
        f"{name}@{k}": of_runs.Measured(np.array([3, 3, 0]), np.array([0.5, 0.25, np.nan]) + plus)
        for name in ("recall", "share")
        for k in (5, 20)
    }
    users = of_runs.user_groups(activity)
    of_users = {"ndcg@20": of_runs.means_of(users, activity / 10 + plus)}
    lines = [
        *of_runs.lines_of("items", of_runs.ITEMS, items, popularity, measured),
        *of_runs.lines_of("users", of_runs.USERS, users, activity, of_users),
    ]
    of_runs.write_groups(folder, lines)
    return folder


def add_users(folder: Path, values: list[float]) -> Path:
    users = np.array([f"u{number}" for number in range(len(values))])
    save(folder / "users.npz", users, {"recall@20": np.array(values), "ndcg@20": np.array(values)})
    return folder


def test_groups_are_averaged_over_seeds_and_shown_with_the_negatives(tmp_path: Path) -> None:
    add_groups(write_run(tmp_path / "a", 1), 0.0)
    add_groups(write_run(tmp_path / "b", 2), 0.1)
    add_groups(write_run(tmp_path / "c", 1, recorded=False, **DNS), 0.2)
    runs = analysis.read_runs([tmp_path])
    table = groups.group_lines(runs, "items")
    assert list(table.columns) == ["bns", "dns"]
    assert table.loc["recall@20, head"].tolist() == pytest.approx([0.55, 0.7])
    assert np.isnan(table.loc["recall@20, tail"]).all()
    # 20 items drawn alike: of popularity 19, 18 (head), 17 to 9 (mid) and the rest (tail)
    drawn = [table.loc[f"share of negatives drawn, {name}", "bns"] for name in of_runs.ITEMS]
    counts = np.bincount(of_runs.item_groups(np.arange(20)), minlength=3)
    assert drawn == pytest.approx((counts / 20).tolist())
    assert np.isnan(table.loc["share of negatives drawn, head", "dns"])
    assert not [name for name in table.index if "@5" in name]
    users = groups.group_lines(runs, "users")
    assert users.loc["ndcg@20, least active", "bns"] == pytest.approx(0.15 + 0.05)
    assert "least active: 2 users with 1 to 2 each, 3 together" in groups.note_of(runs, "users")
    charts = {chart.name: chart for chart in analysis.charts_of(runs).found}
    assert charts["item_groups"].panels == [
        "recall@20",
        "recommended places, first 20",
        "negatives drawn",
    ]
    shares = charts["item_groups"].table
    of_training = shares[shares["series"] == "training interactions"]
    assert of_training.groupby("panel")["y"].sum().tolist() == pytest.approx([1, 1])
    assert charts["user_groups"].order == of_runs.USERS


def test_runs_of_before_have_no_groups_and_the_page_says_so(tmp_path: Path) -> None:
    runs = analysis.read_runs([write_run(tmp_path / "a")])
    assert [page.groups_of("tiny", runs, kind) for kind in groups.KINDS] == [None, None]
    said = [text for text in analysis.charts_of(runs).missing if "left no groups.csv" in text]
    assert [text.partition(":")[0] for text in said] == [
        "Popular and unpopular items",
        "More and less active users",
    ]


def test_rows_that_no_comparison_has_tested_are_tested_over_users(tmp_path: Path) -> None:
    source = np.random.default_rng(1)
    values = {name: source.uniform(size=30).tolist() for name in ("bns", "dns", "rns")}
    add_users(write_run(tmp_path / "bns"), values["bns"])
    add_users(write_run(tmp_path / "dns", **DNS), values["dns"])
    add_users(write_run(tmp_path / "rns", **RNS), values["rns"])
    runs = analysis.read_runs([tmp_path])
    assert tests.reference_of(runs) == "rns"
    table = tests.tests_between(runs, "rns").set_index(["sampler", "metric"])
    for name in ("bns", "dns"):
        wanted = stats.ttest_rel(values[name], values["rns"]).pvalue
        assert table.loc[(name, "ndcg@20"), "p_t"] == pytest.approx(wanted)
    first, second = sorted(table.xs("ndcg@20", level="metric")["p_t"])
    holm = sorted(table.xs("ndcg@20", level="metric")["p_t_holm"])
    assert holm == pytest.approx(sorted([min(2 * first, 1), min(max(2 * first, second), 1)]))
    for row, more in (("rns", RNS), ("pns", {**DNS, "neg_sampler": "pns"})):
        add_users(write_compared(tmp_path / "c", row, 1, **more), [0.5, 0.25])
    write_comparison(tmp_path / "c", ["rns", "pns"], "rns")  # has its own
    compared = analysis.read_runs([tmp_path / "c"])
    shown = page.tests_here("tiny", [*compared, *runs])
    assert shown is not None
    assert [line.name for line in shown.rows] == ["bns", "dns"]
    assert "over 30 users" in shown.note
    assert all("(" in cell.text for line in shown.rows for cell in line.cells)


def test_rows_without_users_metrics_or_with_a_test_already_get_none(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", **DNS)
    runs = analysis.read_runs([tmp_path / "a", tmp_path / "b"])
    assert page.tests_here("tiny", runs) is None
    add_users(tmp_path / "a", [1.0, 2.0])
    assert page.tests_here("tiny", runs) is None  # one alone
    for row, more in (("rns", RNS), ("dns", DNS)):
        add_users(write_compared(tmp_path / "c", row, 1, **more), [0.5, 0.25])
    write_comparison(tmp_path / "c", ["rns", "dns"], "rns")
    assert page.tests_here("tiny", analysis.read_runs([tmp_path / "c"])) is None


def test_a_broken_file_of_users_is_named(tmp_path: Path) -> None:
    for name, more in (("a", RNS), ("b", DNS)):
        write_run(tmp_path / name, **more)
        (tmp_path / name / "users.npz").write_bytes(b"PK no archive")
    runs = analysis.read_runs([tmp_path])
    with pytest.raises(UsageError, match=r"cannot read the users' metrics in '.*users\.npz'"):
        tests.tests_between(runs, "rns")


def test_commands_of_single_runs_stand_on_the_page(tmp_path: Path) -> None:
    with commands.given(["recbole-bns", "run", "--model=BPR", "--out=<a>"]):
        commands.note(write_run(tmp_path / "a"))
    commands.note(write_run(tmp_path / "b", 2))
    runs = analysis.read_runs([tmp_path])
    table = tables.commands_table(runs)
    assert table["command"].tolist() == [
        "recbole-bns run --model=BPR '--out=<a>'",
        "(called from Python)",
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", when) for when in table["begun"])
    assert tables.commands_table([]).equals(pd.DataFrame())
