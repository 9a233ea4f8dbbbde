"""What charts there are, each a function of runs; one that lacks its data gives None.

A maker gets the runs of one data set; :func:`charts_of` puts those of several side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from recbole_bns.runs import groups

from .chart import Chart, Charts, side_by_side
from .folders import RunData
from .rows import by_data
from .tables import (
    by_epoch,
    chosen_metrics,
    drawn_by_group,
    group_metrics,
    group_sizes,
    histograms,
    popularity_groups,
    sweep_table,
)
from .theory import density_table, posterior_table


def charts_of(runs: Sequence[RunData]) -> Charts:
    """All charts that the data of these runs allow; different data sets in different panels."""
    charts = Charts()
    tables = by_data(runs)
    for make, lacking in MAKERS:
        made = {data: make(rows) for data, rows in tables.items()}
        drawable = {data: chart for data, chart in made.items() if chart is not None}
        if drawable:
            several = len(tables) > 1
            charts.found.append(
                side_by_side(drawable) if several else next(iter(drawable.values()))
            )
        if len(drawable) < len(tables):
            without = [data for data in tables if data not in drawable]
            charts.missing.append(f"{', '.join(without)}: {lacking}" if drawable else lacking)
    charts.found += [make() for make in THEORY]
    return charts


def _panels(table: pd.DataFrame, x: str, columns: dict[str, str]) -> pd.DataFrame:
    """A panel for each of the columns, a series for each run."""
    tables = [
        pd.DataFrame({"panel": panel, "series": table["run"], "x": table[x], "y": table[column]})
        for column, panel in columns.items()
        if column in table and table[column].notna().any()
    ]
    return pd.concat(tables, ignore_index=True).dropna() if tables else pd.DataFrame()


def learning(runs: Sequence[RunData]) -> Chart | None:
    """Learning curves over epochs and over seconds of training."""
    table = by_epoch(runs, "epochs")
    metric = runs[0].result["valid_metric"]
    if table.empty:
        return None
    metric = metric if metric in table else "train_loss"
    by_what = (("epoch", "by epoch"), ("seconds", "by time"))
    panels = [_panels(table, x, {metric: panel}) for x, panel in by_what]
    loss = metric == "train_loss"
    several = loss and len({run.result.get("loss") for run in runs}) > 1
    return Chart(
        "learning",
        "Learning curves",
        ("Lower" if loss else "Higher") + " is better; a curve that rises early learns from few "
        "epochs, or in little time; seconds are of training alone."
        + " Values of different losses cannot be compared."
        * several,
        pd.concat(panels, ignore_index=True),
        {"by epoch": "epoch", "by time": "training time (s)"},
        "training loss (sum over batches)" if loss else f"{metric} on validation (0 to 1)",
    )


def _of_negatives(
    runs: Sequence[RunData], name: str, title: str, reading: str, panels: dict[str, tuple[str, str]]
) -> Chart | None:
    """Columns of ``negatives`` by epoch, each in a panel: its name and what the axis says."""
    table = by_epoch(runs, "negatives")
    if table.empty:
        return None
    return Chart(
        name,
        title,
        reading,
        _panels(table, "epoch", {column: panel for column, (panel, _) in panels.items()}),
        "epoch",
        dict(panels.values()),
    )


def true_negatives(runs: Sequence[RunData]) -> Chart | None:
    """TNR and INF by epoch (BNS's Fig. 4)."""
    return _of_negatives(
        runs,
        "true_negatives",
        "True negative rate and informativeness",
        "A sampler is good where both curves are high: TNR is the share of negatives that are not "
        "held-out positives (validation and test), INF what they teach, false ones counted "
        "against it.",
        {
            "true_negative_rate": ("TNR", "true negatives (share)"),
            "informativeness": ("INF", "informativeness (-1 to 1)"),
        },
    )


def scores(runs: Sequence[RunData]) -> Chart | None:
    """Score densities of true and false negatives (BNS's Fig. 1)."""
    table = histograms(runs)
    if table.empty:
        return None
    panel = table["run"] + ", epoch " + table["epoch"].astype(str)
    epochs = table["epoch"].nunique()
    return Chart(
        "scores",
        "Scores of true and false negatives",
        "The further the curve of false negatives lies to the right of the other, the more a high "
        "score warns of a false negative; each curve covers an area of 1.",
        pd.DataFrame(
            {"panel": panel, "series": table["kind"], "x": table["score"], "y": table["density"]}
        ),
        "score (model's units)",
        "density (per unit of score)",
        columns=min(epochs if epochs > 1 else table["run"].nunique(), 3),
        markers=False,
    )


def hardness(runs: Sequence[RunData]) -> Chart | None:
    """Hardness and information by epoch (AHNS's Fig. 5)."""
    return _of_negatives(
        runs,
        "hardness",
        "Hardness of negatives",
        "Hardness 1 means that the median negative scores like its positive, 0 that it scores 0, "
        "below 0 that the two differ in sign; information is 1 - σ(positive's - negative's score), "
        "0.5 where the two are equal.",
        {
            "hardness": ("hardness", "negative's / positive's score"),
            "information": ("information", "mean information (0 to 1)"),
        },
    )


def drawn(runs: Sequence[RunData]) -> Chart | None:
    """What is drawn: popularity, repeats, coverage, and the time it takes."""
    return _of_negatives(
        runs,
        "drawn",
        "What is drawn",
        "High popularity, low coverage and many repeats mean that a few items serve as negatives "
        "again and again; the last panel says what sampling costs.",
        {
            "popularity": ("popularity", "mean training interactions"),
            "coverage": ("coverage", "catalogue drawn (share)"),
            "repeated": ("repeats", "repeated pairs (share)"),
            "sampling_share": ("time", "time spent sampling (share)"),
        },
    )


def popularity(runs: Sequence[RunData]) -> Chart | None:
    """Popularity of recommended against trained-negative items."""
    table = popularity_groups(runs)
    if table.empty:
        return None
    names = {"run": "panel", "kind": "series", "group": "x", "share": "y"}
    return Chart(
        "popularity",
        "Popularity of negatives and of recommendations",
        "Each point is a tenth of the items; where the curve of negatives lies above that of "
        "training interactions, items of this popularity are pushed down, and where it lies below "
        "they are spared.",
        table.rename(columns=names),
        "popularity (tenths; 10: most popular)",
        "share (of all tenths: 1)",
    )


TRAINING = "training interactions"
"""The series that shares of groups are held against."""


def item_groups(runs: Sequence[RunData]) -> Chart | None:
    """Test metrics, recommendations and negatives by popularity of the items."""
    names = chosen_metrics(runs, "items")
    if not names:
        return None
    table, sizes = group_metrics(runs), group_sizes(runs, "items")
    table = table[table["kind"] == "items"]
    parts = {name: table[table["metric"] == name] for name in names}
    axes = {name: f"{name} (0 to 1)" for name in names}
    share = next((name for name in names if name.startswith("share")), "")
    training = pd.DataFrame(
        {
            "run": TRAINING,
            "group": sizes.index,
            "value": sizes["interactions"] / sizes["interactions"].sum(),
        }
    )
    lists = "recommended places" + share.replace("share@", ", first ")
    parts[lists] = pd.concat([parts.pop(share), training])
    drawn = drawn_by_group(runs)
    if not drawn.empty:
        parts["negatives drawn"] = pd.concat([drawn, training])
    shares = dict.fromkeys((lists, "negatives drawn"), "share (of all groups: 1)")
    return Chart(
        "item_groups",
        "Popular and unpopular items",
        "A sampler that serves the whole catalogue keeps recall and NDCG up from head to tail; "
        "where places or negatives lie above the training interactions, the group is recommended, "
        "or pushed down, more than its popularity explains.",
        _by_group(parts),
        "items by popularity",
        {**axes, **shares},
        order=groups.ITEMS,
    )


def user_groups(runs: Sequence[RunData]) -> Chart | None:
    """Test metrics by activity of the users."""
    names = chosen_metrics(runs, "users")
    if not names:
        return None
    table = group_metrics(runs)
    table = table[table["kind"] == "users"]
    return Chart(
        "user_groups",
        "More and less active users",
        "A level curve serves all users alike; recall often falls with activity, for a long list "
        "of test items does not fit into a short one of recommendations.",
        _by_group({name: table[table["metric"] == name] for name in names}),
        "users by training interactions",
        {name: f"{name} on test (0 to 1)" for name in names},
        order=groups.USERS,
    )


def _by_group(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A panel for each of the tables, whose columns are run, group and value."""
    tables = [
        pd.DataFrame(
            {"panel": panel, "series": part["run"], "x": part["group"], "y": part["value"]}
        )
        for panel, part in parts.items()
    ]
    return pd.concat(tables, ignore_index=True).dropna()


def sweep(runs: Sequence[RunData]) -> Chart | None:
    """NDCG against lambda and the number of candidates (BNS's Fig. 5)."""
    table = sweep_table(runs)
    if table.empty:
        return None
    metric = table["metric"].iloc[0]
    names = {"parameter": "panel", "run": "series", "value": "x", "mean": "y"}
    units = {"lambda": "λ (weight of a true negative)", "candidate_num": "candidates a negative"}
    return Chart(
        "sweep",
        "Sweep of the sampler's parameters",
        "The highest point of a curve is the parameter's best value on the test part; a flat curve "
        "means that the value hardly matters.",
        table.rename(columns=names),
        units,
        f"{metric} on test (0 to 1)",
    )


def trials(runs: Sequence[RunData]) -> Chart | None:
    """The validation metric of every trial of a sweep against what was searched."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if not run.tables.get("trials", pd.DataFrame()).empty:
            tables.setdefault(run.label, []).append(run.tables["trials"])
    charts = {label: _trials_of(pd.concat(each)) for label, each in tables.items()}
    if not charts:
        return None
    return side_by_side(charts) if len(charts) > 1 else next(iter(charts.values()))


def _trials_of(table: pd.DataFrame) -> Chart:
    names = {"parameter": "panel", "status": "series", "value": "x", "score": "y"}
    return Chart(
        "trials",
        "Trials of the sweep",
        "Each point is a trial; where the highest points lie together, the hyper-parameter "
        "decides, where they are spread out, others do.",
        table.rename(columns=names),
        {name: name for name in table["parameter"].unique()},
        f"{table['metric'].iloc[0]} on validation (0 to 1)",
        lines=False,
    )


def posterior() -> Chart:
    """The posterior of Eq. 15 over F and the prior (BNS's Fig. 3)."""
    table = posterior_table()
    names = {"F": "x", "prior": "y", "unbias": "z"}
    return Chart(
        "posterior",
        "Posterior probability of a true negative",
        "Bright means surely a true negative: low F (few of the user's items score lower) and low "
        "prior; dark in the upper right corner means surely a false one.",
        table.rename(columns=names).assign(panel="", series=""),
        "F: share of the user's negatives that score no higher",
        "prior of a false negative",
        "posterior of a true negative (0 to 1)",
        columns=1,
    )


def theory() -> Chart:
    """The theoretical densities g and h (BNS's Fig. 2)."""
    names = {"law": "panel", "kind": "series", "score": "x", "density": "y"}
    return Chart(
        "theory",
        "Densities of the theory",
        "Of two scores of the same law the lower is a true negative's (g), the higher a false "
        "one's (h): whatever the law, a high score is more likely a false negative's.",
        density_table().rename(columns=names),
        "score (law's units)",
        "density (per unit of score)",
        columns=3,
        markers=False,
    )


_RECORD = "the runs were not recorded; record them with --neg_record=True."
_OF_OLD = "the runs are of an earlier version, which left no groups.csv, or rank no lists."
MAKERS: tuple[tuple[Callable[[Sequence[RunData]], Chart | None], str], ...] = (
    (learning, "Learning curves: the runs have no epochs.csv."),
    (true_negatives, f"TNR and INF: {_RECORD}"),
    (scores, "Score densities: no epochs were chosen with --neg_record_scores=1,10,50."),
    (hardness, f"Hardness: {_RECORD}"),
    (drawn, f"What is drawn: {_RECORD}"),
    (popularity, f"Popularity of negatives and recommendations: {_RECORD}"),
    (item_groups, f"Popular and unpopular items: {_OF_OLD}"),
    (user_groups, f"More and less active users: {_OF_OLD}"),
    (sweep, "Sweep: no two runs differ in lambda or candidate_num alone."),
    (trials, "Trials: none of the folders is one of recbole-bns tune."),
)
"""Charts of runs: what makes one, and what to say where its data are lacking."""

THEORY: tuple[Callable[[], Chart], ...] = (posterior, theory)
"""Charts that need no runs."""
