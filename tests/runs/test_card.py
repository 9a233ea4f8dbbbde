"""The card in a run's folder: its numbers are those of the run, and its lines work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from recbole_bns import run_recbole_bns
from recbole_bns.cli import main
from recbole_bns.runs.card import Facts, card_of


@pytest.fixture(scope="module")
def run(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 1,
        "embedding_size": 8,
        "show_progress": False,
        "neg_sampler": "dns",
        "topk": [5],
        "metrics": ["Recall", "NDCG", "ItemCoverage"],
        "valid_metric": "NDCG@5",
    }
    folder = tmp_path_factory.mktemp("run") / "bpr"
    run_recbole_bns("BPR", "tiny", None, given, out=folder, per_user=folder.parent / "users.npz")
    return folder


def cells(text: str) -> dict[str, list[str]]:
    """First cell -> the others, of all tables."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def test_its_numbers_are_those_of_the_run(run):
    text = (run / "README.md").read_text(encoding="utf-8")
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    rows = cells(text)
    with np.load(run.parent / "users.npz") as file:
        for name in ("recall@5", "ndcg@5"):
            values = file[name]
            spread = np.std(values, ddof=1)
            assert rows[name] == [
                f"{result['best_valid_result'][name]:.4f}",
                f"{result['test_result'][name]:.4f}",
                f"{spread:.4f}",
                f"{spread / len(values) ** 0.5:.4f}",
            ]
    assert rows["itemcoverage@5"][2:] == ["", ""], "no value a user, no deviation"
    parts = [int(rows[phase][0].replace(",", "")) for phase in ("train", "valid", "test")]
    assert sum(parts) == 880
    for said in ("users: 40", "items: 60", "interactions: 880", "`dns`", "seed: 2020"):
        assert said in text
    assert f"epochs: 1, tested with the weights of epoch {result['best_epoch']}" in text
    assert json.dumps(result["neg_sampler_args"]) in text
    for name, version in result["versions"].items():
        assert f"- {name}: `{version}`" in text
    assert not re.search(r"\bNone\b|nan", text)


def test_its_python_and_its_commands_work(run, in_tmp, capsys):
    text = (run / "README.md").read_text(encoding="utf-8")
    python, shell = re.findall(r"```(?:python)?\n(.*?)```", text, re.DOTALL)
    found: dict[str, object] = {}
    exec(python, found)
    assert len(found["model"].users) == 40
    for line in shell.splitlines()[:2]:
        words = line.split()
        assert words.pop(0) == "recbole-bns"
        assert main(words) == 0
    assert (in_tmp / "embeddings" / "vectors.safetensors").is_file()
    said = capsys.readouterr().out
    assert "rank" in said


@pytest.mark.parametrize(("served", "vectors"), [(False, False), (True, False), (True, True)])
def test_it_promises_what_the_model_can(run, served, vectors):
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    facts = Facts(1, 1, {"train": 3}, False, ("it's", 'a "b"'), served, vectors, {})
    text = card_of(result, {}, facts)
    assert ("recbole_bns.load(" in text) is served
    assert ("similar_items" in text) is ("export" in text) is vectors
    if served:
        assert """--users='it'"'"'s'""" in text
        for python in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            compile(python, "card", "exec")


def test_a_split_by_name_is_said_in_the_place_of_what_recbole_was_told(run):
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    result["split"] = {"sentence": "split time: it knows nothing."}
    facts = Facts(1, 1, {"train": 3}, False, ("u", "i"), True, True, {})
    eval_args = {"split": {"LS": "valid_and_test"}, "mode": {"valid": "full", "test": "full"}}
    text = card_of(result, {"split": "time", "eval_args": eval_args}, facts)
    assert "it knows nothing" in text
    assert "LS" not in text
    assert '"mode"' in text
    assert "LS" in card_of(result, {"split": "none", "eval_args": eval_args}, facts)


def test_a_run_that_goes_on_has_a_new_card(run, in_tmp):
    before = (run / "README.md").read_text(encoding="utf-8")
    run_recbole_bns(config_dict={"epochs": 2}, resume=run)
    after = (run / "README.md").read_text(encoding="utf-8")
    assert "epochs: 1, tested" in before
    assert "epochs: 2, tested" in after
    assert not list(run.glob(".*.tmp"))
