"""The charts of a study, each a function of its records; one that lacks its data gives None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from recbole_bns.analysis.chart import Chart, Charts

from .tables import Record, by_epoch, figures_of, last_epochs, over_seeds

KINDS = {
    "false": "false negatives (F)",
    "hard": "hard negatives (the 20 highest of each user)",
    "all": "all negatives",
}


def charts_of(records: Sequence[Record]) -> Charts:
    """All charts that the records allow, and what cannot be drawn yet."""
    charts = Charts()
    for make, lacking in MAKERS:
        chart = make(records)
        if chart is None:
            charts.missing.append(lacking)
        else:
            charts.found.append(chart)
    return charts


def with_band(table: pd.DataFrame) -> pd.DataFrame:
    """Columns y, low and high: mean and mean ± std, which is 0 of one seed."""
    std = table["std"].fillna(0.0)
    return table.assign(y=table["mean"], low=table["mean"] - std, high=table["mean"] + std)


def noise(records: Sequence[Record]) -> Chart | None:
    """Test metrics against sigma (SRNS's Fig. 2); what nothing is planted in is a level line."""
    planted = [record for record in records if record["sigma"] is not None]
    if not planted:
        return None
    sigmas = sorted({record["sigma"] for record in planted})
    table = over_seeds(last_epochs(by_epoch(records)))
    level = table[table["sigma"].isna()].drop(columns="sigma")
    table = table[table["sigma"].notna()]
    table = pd.concat([table, level.merge(pd.DataFrame({"sigma": sigmas}), how="cross")])
    names = {"metric": "panel", "row": "series", "sigma": "x"}
    return Chart(
        "noise",
        "Test metrics by the share of false negatives",
        "A sampler that is robust has a level line: with sigma more of the held-out records are "
        "among what it chooses from. Means of the last eighth of the epochs; the band is a "
        "standard deviation over the seeds.",
        with_band(table).rename(columns=names),
        "sigma: share of the planted records that is available",
        {metric: f"{metric} on test (0 to 1)" for metric in table["metric"].unique()},
    )


def epochs(records: Sequence[Record]) -> Chart | None:
    """NDCG by epoch with the least and the greatest sigma (SRNS's Fig. 3)."""
    planted = [record for record in records if record["sigma"] is not None]
    if not planted:
        return None
    table = over_seeds(by_epoch(planted))
    ends = sorted({table["sigma"].min(), table["sigma"].max()})
    metric = next((name for name in table["metric"] if name == "ndcg@3"), table["metric"].iloc[0])
    table = table[(table["metric"] == metric) & table["sigma"].isin(ends)]
    table = table.assign(panel=[f"sigma {sigma:g}" for sigma in table["sigma"]])
    return Chart(
        "epochs",
        f"{metric} by epoch",
        "A curve that rises and then falls has learned first from true negatives and then the "
        "false ones by heart; the band is a standard deviation over the seeds.",
        with_band(table).rename(columns={"row": "series", "epoch": "x"}),
        "epoch",
        f"{metric} on test (0 to 1)",
        markers=False,
    )


def distribution(records: Sequence[Record]) -> Chart | None:
    """The complementary distribution function of P_pos by epoch (SRNS's Fig. 1 a)."""
    table = figures_of(records, "ccdf")
    if table.empty:
        return None
    return Chart(
        "distribution",
        "How many negatives score high",
        "A curve that drops at once says that few negatives are hard: later epochs have fewer, "
        "and uniform draws seldom meet one.",
        table.assign(
            panel="",
            series=[f"epoch {e:g}" for e in table["epoch"]],
            x=table["p"],
            y=table["share"],
        ),
        "P_pos: σ(negative's - positive's score)",
        "share of negatives with at least that",
        columns=1,
        markers=False,
    )


BY_EPOCH, BY_LEVEL = "by epoch", "by P_pos, after the last epoch"
KINDS_BY_LEVEL = {"false": KINDS["false"], "true": "true negatives"}


def _kinds(
    table: pd.DataFrame, x: str = "epoch", kinds: Mapping[str, str] = KINDS, panel: str = ""
) -> pd.DataFrame:
    """A series for each kind of negatives over a column ``x``."""
    long = table.melt(x, list(kinds), "kind", "y")
    return long.assign(panel=panel, series=long["kind"].map(kinds), x=long[x]).dropna()


def scores(records: Sequence[Record]) -> Chart | None:
    """Median scores of false, hard and all negatives by epoch (SRNS's Fig. 1 b)."""
    table = figures_of(records, "medians")
    if table.empty:
        return None
    return Chart(
        "scores",
        "Scores of false and of hard negatives",
        "Where false negatives score like hard ones, a sampler that looks for high scores finds "
        "false ones as well.",
        _kinds(table),
        "epoch",
        "median score (model's units)",
        columns=1,
        markers=False,
    )


def errors(records: Sequence[Record]) -> Chart | None:
    """The share of false ones by difficulty (SRNS's Fig. 1 c)."""
    table = figures_of(records, "errors")
    if table.empty:
        return None
    return Chart(
        "errors",
        "False ones among the hardest of D candidates",
        "A rising curve says that a sampler which takes the hardest of more candidates has more "
        "false negatives among those it takes.",
        table.assign(
            panel="",
            series=[f"epoch {e:g}" for e in table["epoch"]],
            x=table["difficulty"],
            y=table["share"],
        ),
        "difficulty D (candidates)",
        "label errors (share of the selected)",
        columns=1,
    )


def deviations(records: Sequence[Record]) -> Chart | None:
    """Std/Mean of P_pos over five epochs, by epoch and by height (SRNS's Fig. 1 d)."""
    table, levels = figures_of(records, "deviations"), figures_of(records, "levels")
    if table.empty or levels.empty:
        return None
    last = levels[levels["epoch"] == levels["epoch"].max()]
    panels = [
        _kinds(table, panel=BY_EPOCH),
        _kinds(last, "level", KINDS_BY_LEVEL, BY_LEVEL),
    ]
    return Chart(
        "deviations",
        "How much P_pos varies over five epochs",
        "SRNS rests on false negatives varying less than true ones that score as high: on the "
        "right that is a curve of false negatives below the other, level by level.",
        pd.concat(panels),
        {BY_EPOCH: "epoch", BY_LEVEL: "P_pos: σ(negative's - positive's score)"},
        dict.fromkeys((BY_EPOCH, BY_LEVEL), "median of standard deviation / mean"),
        markers=False,
    )


_REFERENCE = "no run without planted items has finished, or it has too few epochs."
MAKERS = (
    (noise, "Test metrics by sigma: no run with planted items has finished."),
    (epochs, "NDCG by epoch: no run with planted items has finished."),
    (distribution, f"Distribution of P_pos: {_REFERENCE}"),
    (scores, f"Scores of false and hard negatives: {_REFERENCE}"),
    (errors, f"Label errors: {_REFERENCE}"),
    (deviations, f"Variation of P_pos: {_REFERENCE}"),
)
"""What makes a chart, and what to say where its data are lacking."""
