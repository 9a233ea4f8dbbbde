"""The report: tables from folders, charts from tables, the page in a browser, pictures in files."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from run_folders import write_run, write_sweep
from scipy import integrate, stats

from recbole_bns import analysis
from recbole_bns.analysis import as_pictures as plots
from recbole_bns.analysis import chart as style
from recbole_bns.analysis import figures as charts
from recbole_bns.analysis import tables, theory
from recbole_bns.cli import main
from recbole_bns.compare import command as compare

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two seeds of one sampler, one of another."""
    other = {"neg_sampler": "dns", "neg_sampler_label": "dns", "neg_sampler_args": {}}
    return [
        write_run(tmp_path / "a", 1),
        write_run(tmp_path / "b", 2),
        write_run(tmp_path / "c", 1, **other),
    ]


def test_seeds_share_a_label_and_are_averaged(folders: list[Path]) -> None:
    runs = analysis.read_runs(folders)
    assert [run.label for run in runs] == ["bns", "bns", "dns"]
    metrics = tables.metrics_table(runs).set_index(["run", "metric"])
    assert metrics.loc[("bns", "ndcg@20"), "mean"] == pytest.approx(0.215)
    assert metrics.loc[("bns", "ndcg@20"), "std"] == pytest.approx(0.01 / math.sqrt(2))
    assert math.isnan(metrics.loc[("dns", "ndcg@20"), "std"])
    curves = tables.by_epoch(runs, "epochs").set_index(["run", "epoch"])
    assert curves.loc[("bns", 3), "ndcg@20"] == pytest.approx(1.8)
    assert curves.loc[("bns", 3), "seconds"] == pytest.approx(6)
    assert tables.settings_table(runs)["seeds"].tolist() == ["1, 2", "1"]


def test_an_epoch_that_one_seed_has_not_reached_is_left_out(folders: list[Path]) -> None:
    path = folders[1] / "epochs.csv"
    pd.read_csv(path)[:2].to_csv(path, index=False)
    curves = tables.by_epoch(analysis.read_runs(folders), "epochs")
    assert curves[curves["run"] == "bns"]["epoch"].tolist() == [1, 2]
    assert curves[curves["run"] == "dns"]["epoch"].tolist() == [1, 2, 3]


def test_labels_say_what_differs(tmp_path: Path) -> None:
    args = [{"candidate_num": 5, "lambda": 1.0}, {"candidate_num": 5, "lambda": 5.0}]
    paths = [write_run(tmp_path / str(i), neg_sampler_args=a) for i, a in enumerate(args)]
    assert [r.label for r in analysis.read_runs(paths)] == ["bns lambda=1.0", "bns lambda=5.0"]
    paths.append(write_run(tmp_path / "light", model="LightGCN"))
    assert [r.label for r in analysis.read_runs(paths)][2] == "LightGCN bns"


def test_a_comparison_is_read_with_the_names_of_its_rows(tmp_path: Path) -> None:
    for row, seed in (("hard", 1), ("bns", 1)):
        folder = write_run(tmp_path / "runs" / f"{row}-{seed}", seed)
        folder.with_suffix(".json").write_text(json.dumps({"sampler": row}), encoding="utf-8")
    (tmp_path / "runs" / "dns-1").mkdir()  # still at work
    assert sorted(run.label for run in analysis.read_runs([tmp_path])) == ["bns", "hard"]


def test_densities_cover_an_area_of_one(folders: list[Path]) -> None:
    table = tables.histograms(analysis.read_runs(folders))
    area = table.assign(area=table["density"] * 2).groupby(["run", "epoch", "kind"])["area"].sum()
    assert area.tolist() == pytest.approx([1.0] * 8)
    first = table[(table["kind"] == "true negatives") & (table["epoch"] == 1)]
    assert first["score"].tolist()[:2] == [1, 3]
    assert first["density"].tolist()[:2] == pytest.approx([6 / 8 / 2, 2 / 8 / 2])


def test_popularity_groups_are_tenths_of_the_items(folders: list[Path]) -> None:
    table = tables.popularity_groups(analysis.read_runs(folders[:1]))
    share = {kind: part["share"].tolist() for kind, part in table.groupby("kind")}
    assert share["negatives drawn"] == pytest.approx([0.1] * 10)
    pairs = [(4 * group + 1) / 190 for group in range(10)]
    assert share["training interactions"] == pytest.approx(pairs)
    assert share["recommended places"] == pytest.approx(pairs[::-1])


def test_the_posterior_is_that_of_the_formula() -> None:
    for f, prior, unbias in theory.posterior_table(5).itertuples(index=False):
        true, false = (1 - f) * (1 - prior), f * prior
        expected = true / (true + false) if true + false else 0.5
        assert unbias == pytest.approx(expected)


def test_theoretical_densities_integrate_to_one_and_meet_the_order_statistics() -> None:
    table = theory.density_table(801)
    for _, part in table.groupby(["law", "kind"]):
        assert integrate.trapezoid(part["density"], part["score"]) == pytest.approx(1, abs=0.02)
    normal = table[table["law"] == "normal"].pivot_table(
        index="score", columns="kind", values="density"
    )
    g, h = normal["g: true negatives"], normal["h: false negatives"]
    assert (g + h).to_numpy() == pytest.approx(2 * stats.norm.pdf(normal.index.to_numpy()))
    assert integrate.trapezoid(h * normal.index, normal.index) == pytest.approx(
        1 / math.sqrt(math.pi), abs=0.01
    )


def test_a_sweep_is_found_where_one_parameter_differs(tmp_path: Path) -> None:
    args = [
        {"candidate_num": 5, "lambda": 1.0},
        {"candidate_num": 5, "lambda": 5.0},
        {"candidate_num": 9, "lambda": 5.0},
    ]
    paths = [
        write_run(tmp_path / f"{i}-{seed}", seed, neg_sampler_args=one)
        for i, one in enumerate(args)
        for seed in (1, 2)
    ]
    table = tables.sweep_table(analysis.read_runs(paths))
    found = [(p, v) for p, v in zip(table["parameter"], table["value"], strict=True)]
    assert sorted(found) == [
        ("candidate_num", 5),
        ("candidate_num", 9),
        ("lambda", 1),
        ("lambda", 5),
    ]
    assert table["mean"].tolist() == pytest.approx([0.215] * 4)
    assert tables.sweep_table(analysis.read_runs(paths[:2])).empty
    assert "sweep" in [c.name for c in analysis.charts_of(analysis.read_runs(paths)).found]


def test_trials_of_a_sweep_are_points(tmp_path: Path) -> None:
    write_run(tmp_path / "sweep" / "winner", 1)
    write_sweep(tmp_path / "sweep")
    charts = analysis.charts_of(analysis.read_runs([tmp_path / "sweep"])).found
    table = next(chart for chart in charts if chart.name == "trials").table
    assert table[["panel", "series", "x", "y"]].values.tolist() == [
        ["log10 of learning_rate", "finished", pytest.approx(-2), 0.4],
        ["log10 of learning_rate", "stopped early", pytest.approx(-1), 0.2],
        ["candidate_num", "finished", 3, 0.4],
        ["candidate_num", "stopped early", 5, 0.2],
    ]


def test_every_chart_has_axes_a_sentence_and_its_own_data(folders: list[Path]) -> None:
    found = analysis.charts_of(analysis.read_runs(folders)).found
    assert {c.name for c in found} == {
        "learning",
        "true_negatives",
        "scores",
        "hardness",
        "drawn",
        "popularity",
        "posterior",
        "theory",
    }
    for chart in found:
        assert chart.sentence.endswith(".")
        assert chart.sentence.count(". ") == 0
        assert not chart.table[["x", "y"]].isna().any(axis=None)
        for panel in chart.panels:
            assert chart.axis("x", panel)
            assert chart.axis("y", panel)


def test_what_has_no_data_is_named(tmp_path: Path) -> None:
    plain = analysis.charts_of(analysis.read_runs([write_run(tmp_path / "a", recorded=False)]))
    assert {chart.name for chart in plain.found} == {"learning", "posterior", "theory"}
    assert sum("--neg_record=True" in sentence for sentence in plain.missing) == 4
    assert len(plain.found) + len(plain.missing) == len(charts.MAKERS) + len(charts.THEORY)


def test_series_can_be_told_apart_without_colour() -> None:
    first = [style.style_of(number) for number in range(15)]
    assert len({(s.dash, s.marker) for s in first}) == 15
    assert len(set(first)) == 15


def test_the_page_needs_no_network(folders: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "deep" / "report.html"
    assert main(["report", *map(str, folders), "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=(?!"#)|@import|url\(""", own)
    assert text.count("plotly.js v") <= 1
    assert "0.2150 ± 0.0071" in own
    assert 'class="number best">0.2150' in own
    assert "prefers-color-scheme: dark" in own


def test_names_of_runs_are_text_and_not_html(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", neg_sampler_label="<img src=x>", neg_sampler="<img src=x>")
    runs = analysis.read_runs([path])
    analysis.write_report(runs, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "&lt;img src=x&gt;" in text
    assert "<img src=x>" not in text.split("</head>")[1]


def dump(page: Path, folder: Path) -> tuple[str, list[str]]:
    """The page as headless Chromium has it, with the network off, and what the console said."""
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--proxy-server=127.0.0.1:9",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=5000",
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no browser is installed (Debian: apt-get install chromium)"
)


@needs_browser
@pytest.mark.slow
@pytest.mark.process
def test_a_browser_draws_every_figure_and_complains_of_nothing(
    folders: list[Path], tmp_path: Path
) -> None:
    runs = analysis.read_runs(folders)
    found = analysis.charts_of(runs)
    analysis.write_report(runs, tmp_path / "report.html", found)
    dom, console = dump(tmp_path / "report.html", tmp_path)
    assert console == []
    for chart in found.found:
        inside = dom.split(f'id="figure-{chart.name}"')[1].split("<figcaption")[0]
        if chart.z:
            assert 'class="contourfill"' in inside
            continue
        lines = re.findall(r'class="js-line"[^>]*\bd="M[^"]+"', inside)
        shown = chart.table.groupby(["panel", "series"]).ngroups
        assert len(lines) >= shown, chart.name
        assert all(f">{name}<" in inside for name in chart.series)


MEASURE = """<style>body { width: 358px !important; margin: 0 !important; }</style><script>
setTimeout(() => {
  const wide = box => box.getBoundingClientRect().width;
  const panels = [...document.querySelectorAll('.panel')];
  const plots = panels.map(panel => wide(panel.querySelector('.main-svg')) - wide(panel));
  const page = Math.max(...[...document.body.querySelectorAll('body *')].filter(
    each => !each.closest('table, svg, .svg-container')).map(wide));
  const button = document.querySelector('.legend button');
  button.click();
  setTimeout(() => document.title = JSON.stringify({
    plots: Math.max(...plots), page, lefts: [...new Set(panels.map(p => p.offsetLeft))].length,
    panels: panels.length, shown: document.querySelector('.js-plotly-plot').data[0].visible,
    pressed: button.getAttribute('aria-pressed')}), 500);
}, 1500);</script>"""


@needs_browser
@pytest.mark.slow
@pytest.mark.process
def test_a_telephone_shows_a_panel_a_row_and_scrolls_tables_alone(
    folders: list[Path], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    analysis.write_report(analysis.read_runs(folders), page)
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</body></html>", f"{MEASURE}</body></html>"), encoding="utf-8")
    dom, console = dump(page, tmp_path)
    assert console == []
    found = json.loads(html.unescape(dom.split("<title>")[1].split("</title>")[0]))
    assert found["plots"] < 1  # Plotly rounds to whole pixels
    assert found["page"] <= 358
    assert (found["lefts"], found["panels"] > 10) == (1, True)
    assert (found["shown"], found["pressed"]) == (False, "false")


@needs_browser
@pytest.mark.slow
@pytest.mark.process
def test_the_browser_test_hears_a_complaint(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>nothing.at.all()</script>", encoding="utf-8")
    assert any("nothing is not defined" in line for line in dump(page, tmp_path)[1])


def test_pictures_without_a_browser(folders: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = analysis.charts_of(analysis.read_runs(folders)).found
    files = analysis.write_pictures(found, tmp_path / "png")
    assert [path.stem for path in files] == [chart.name for chart in found]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files)
    chart = next(chart for chart in found if chart.name == "true_negatives")
    tnr = plots.picture(chart).axes[0]
    part = chart.table[(chart.table["panel"] == "TNR") & (chart.table["series"] == "bns")]
    assert tnr.lines[0].get_ydata().tolist() == part["y"].tolist()
    assert (tnr.get_xlabel(), tnr.get_ylabel()) == ("epoch", "true negatives (share)")


def test_pictures_without_matplotlib_end_in_a_sentence(
    folders: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["report", str(folders[0]), f"--out={tmp_path / 'r.html'}", f"--png={tmp_path / 'p'}"]
    assert main(words) == 2
    assert "pip install 'recbole-bns[plot]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "'nowhere' holds no finished run"),
        ([], "report: the following arguments are required: RUN_DIR"),
        (["run", "--out=run/result.json/x.html"], "--out: cannot write"),
        (["broken"], "report: cannot read the run in 'broken'"),
    ],
)
def test_bad_input_ends_in_a_sentence(
    words: list[str], sentence: str, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(in_tmp / "run")
    (in_tmp / "broken").mkdir()
    (in_tmp / "broken" / "result.json").write_text("{", encoding="utf-8")
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_compare_records_all_runs_and_goes_on_from_those_before_recording(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []
    monkeypatch.setattr(compare, "compare", lambda plan, command, *_: plans.append(plan) or 0)
    words = [
        f"--data_path={settings['data_path']}",
        "--dataset=tiny",
        "--model=BPR",
        "--samplers=rns,dns",
        "--use_gpu=False",
    ]
    assert main(["compare", *words, "--record"]) == 0
    assert main(["compare", *words]) == 0
    assert all(plans[0].words.given((name, 1))["neg_record"] is True for name in ("rns", "dns"))
    assert plans[0].resolved("dns", {})["neg_record"] is True
    assert not [key for key in plans[1].resolved("dns", {}) if key.startswith("neg_record")]
