"""The command line: flags in both spellings, help, the table of samplers, the doctor."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from tiny import ROOT

from recbole_bns import cli
from recbole_bns.cli import doctor, main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.common.params import defaults
from recbole_bns.sampling import available, get

FLAGS = [
    (["--model=BPR"], {"model": "BPR"}),
    (["--model", "BPR"], {"model": "BPR"}),
    (["--epochs=3", "--seed", "7"], {"epochs": 3, "seed": 7}),
    (
        ["--learning_rate=1e-3", "--weight_decay", ".5"],
        {"learning_rate": 1e-3, "weight_decay": 0.5},
    ),
    (["--shuffle=False", "--use_gpu", "True"], {"shuffle": False, "use_gpu": True}),
    (["--valid_ratio=None"], {"valid_ratio": None}),
    (["--train-batch-size=64"], {"train_batch_size": 64}),
    (["--topk=[5, 10]"], {"topk": [5, 10]}),
    (["--topk", "5,10"], {"topk": [5, 10]}),
    (["--metrics=NDCG,Recall"], {"metrics": ["NDCG", "Recall"]}),
    (["--metrics=NDCG"], {"metrics": "NDCG"}),
    (["--neg_sampler_args.candidate_num=10"], {"neg_sampler_args.candidate_num": 10}),
    (["--neg_sampler_args={cdf: paper}"], {"neg_sampler_args": {"cdf": "paper"}}),
    (["--lr_schedule.gamma", "0.5"], {"lr_schedule.gamma": 0.5}),
    (["--seed", "-1"], {"seed": -1}),
    (["--config_files", "a.yaml", "b.yaml"], {"config_files": ["a.yaml", "b.yaml"]}),
    (["--config_files", "a.yaml", "--seed=1"], {"config_files": ["a.yaml"], "seed": 1}),
    (["--config_files=a.yaml b.yaml"], {"config_files": ["a.yaml", "b.yaml"]}),
    (["--dataset=100", "--out", "5", "--gpu_id=0"], {"dataset": "100", "out": "5", "gpu_id": "0"}),
    (["--gpu_id="], {"gpu_id": ""}),
    (["--seed=1", "--seed", "1"], {"seed": 1}),
    (["--checkpoint_dir=a=b"], {"checkpoint_dir": "a=b"}),
    (["--x=__import__('os')"], {"x": "__import__('os')"}),
    ([], {}),
]


@pytest.mark.parametrize(("words", "flags"), FLAGS, ids=lambda value: " ".join(value)[:40])
def test_flags_are_read_in_both_spellings_and_typed(words, flags):
    read = parse_flags(words)
    assert read == flags
    assert [type(value) for value in read.values()] == [type(value) for value in flags.values()]


BAD_FLAGS = [
    (["--epochs"], "--epochs: the value is missing; write --epochs=VALUE."),
    (["--epochs", "--seed=1"], "--epochs: the value is missing; write --epochs=VALUE."),
    (["--epochs="], "--epochs: the value is missing; write --epochs=VALUE."),
    (["--config_files"], "--config_files: the value is missing; write --config_files=VALUE."),
    (["epochs=3"], "argument 'epochs=3': allowed are flags, --key=value or --key value."),
    (["--seed=1", "2"], "argument '2': allowed are flags, --key=value or --key value."),
    (["-e", "3"], "argument '-e': allowed are flags, --key=value or --key value."),
    (["--", "x"], "argument '--': allowed are flags, --key=value or --key value."),
    (["--seed=1", "--seed=2"], "--seed: given twice, 1 and 2; write it once."),
]


@pytest.mark.parametrize(("words", "sentence"), BAD_FLAGS, ids=lambda value: str(value)[:40])
def test_flags_that_are_none_are_refused(words, sentence, capsys):
    assert main(["run", *words]) == 2
    assert capsys.readouterr() == ("", f"recbole-bns: {sentence}\n")


def test_run_hands_everything_to_the_run_recipe(monkeypatch, capsys):
    given: dict[str, Any] = {}

    def recipe(*args: Any, **kwargs: Any) -> str:
        given.update(args=args, **kwargs)
        return "result"

    monkeypatch.setattr("recbole_bns.training.run.run_recbole_bns", recipe)
    monkeypatch.setattr(
        "recbole_bns.runs.results.result_table", lambda result: f"table of {result}"
    )
    words = [
        "--model=BPR",
        "--dataset",
        "tiny",
        "--out=there",
        "--result_file",
        "r.json",
        "--config_files",
        "a.yaml",
        "b.yaml",
        "--epochs=3",
        "--resume=auto",
    ]
    assert main(["run", *words]) == 0
    assert given == {
        "args": ("BPR", "tiny", ["a.yaml", "b.yaml"], {"epochs": 3}),
        "out": "there",
        "result_file": "r.json",
        "resume": "auto",
    }
    assert capsys.readouterr().out == "table of result\n"
    assert main(["run"]) == 0
    nothing = {"out": None, "result_file": None, "resume": None}
    assert given == {"args": (None, None, None, {}), **nothing}


def test_the_flags_of_a_run_outrank_its_files(settings, tmp_path, capsys):
    for name, text in (("a", "epochs: 9\nseed: 3"), ("b", "seed: 4\nneg_sampler_args.lambda: 2")):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    flags = [f"--{key}={value}" for key, value in settings.items() if key != "epochs"]
    words = [
        "--config_files",
        str(tmp_path / "a.yaml"),
        str(tmp_path / "b.yaml"),
        "--epochs=1",
        "--model=BPR",
        "--dataset=tiny",
        f"--out={tmp_path / 'run'}",
        "--neg_sampler_args.candidate_num",
        "3",
    ]
    assert main(["run", *flags, *words]) == 0
    import yaml

    final = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text(encoding="utf-8"))
    assert (final["epochs"], final["seed"]) == (1, 4)
    assert final["neg_sampler_args"]["lambda"] == 2
    assert final["neg_sampler_args"]["candidate_num"] == 3
    assert capsys.readouterr().out.startswith("BPR on tiny with bns, seed 4: 1 epochs of ")


# --- Help --------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_the_commands(words, capsys):
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in ("run", "compare", "prepare", "samplers", "doctor"))


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--epochs=3", "--help"]])
def test_help_of_run_fits_on_a_screen_and_shows_examples(words, capsys):
    assert main(["run", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert all(name in text for name in available()), "a sampler is missing"
    flags = ("--model", "--dataset", "--neg_sampler_args.", "--config_files", "--out", "--result")
    assert all(flag in text for flag in flags)
    examples = [line for line in lines if line.startswith("  recbole-bns run ")]
    assert len(examples) >= 2
    for example in examples:
        flags = parse_flags(example.split()[2:])
        assert flags.get("neg_sampler", "bns") in available()


def test_the_example_of_the_short_help_runs(monkeypatch, capsys):
    seen: list[Any] = []
    monkeypatch.setattr(cli, "run", lambda words: seen.append(parse_flags(words)) or 0)
    main([])
    example = capsys.readouterr().out.splitlines()[-1]
    assert example.startswith("example: recbole-bns run ")
    assert main(example.split()[2:]) == 0
    assert seen == [{"model": "LightGCN", "dataset": "ml-100k", "neg_sampler": "bns"}]


def test_an_unknown_command_is_named_with_the_nearest(capsys):
    assert main(["sampler"]) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: command: got 'sampler'; did you mean 'samplers'?; "
        "allowed: run, compare, tune, report, prepare, predict, export, samplers, doctor.\n"
    )


def test_ctrl_c_and_a_closed_pipe_end_quietly(monkeypatch, capsys):
    def stop(words: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", stop)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "recbole-bns: stopped.\n"


# --- samplers ----------------------------------------------------------------------------------


def test_samplers_lists_every_sampler_with_its_parameters(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["samplers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    rows = table_rows(lines)
    assert list(rows) == ["name", *available()]
    for name, cls in available().items():
        _, idea, needs, parameters, paper = rows[name]
        assert idea == cls.idea
        assert paper == cls.paper
        assert needs == {"rns": "nothing", "pns": "nothing", "aobpr": "user and item vectors"}.get(
            name, "scores"
        )
        for key, value in defaults(cls.Params).items():
            assert f"{key} = {value}: " in parameters
    assert "(an integer >= 1 or 'all')" in rows["bns"][3]


def table_rows(lines: list[str]) -> dict[str, list[str]]:
    """Cells of a drawn table by the first one, each joined to one line."""
    rows, cells = {}, [""] * 5
    for line in lines:
        if line.startswith("│"):
            parts = [part.strip() for part in line.strip("│").split("│")]
            cells = [f"{cell} {part}".strip() for cell, part in zip(cells, parts, strict=True)]
        elif any(cells):
            rows[cells[0]], cells = cells, [""] * 5
    return rows


def test_samplers_explains_the_ones_that_are_named(capsys):
    assert main(["samplers", "bns"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("bns: ")
    assert "Where we differ" in text
    assert "\nsrns: " not in text
    assert main(["samplers", "bsn"]) == 2
    assert "neg_sampler: got 'bsn'; did you mean 'bns'?" in capsys.readouterr().err


def test_samplers_as_a_markdown_table(capsys):
    assert main(["samplers", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "name",
        "idea",
        "needs from the model",
        "parameters = default: meaning (allowed)",
        "paper",
    ]
    assert set(lines[1]) <= set("|:- ")
    cells = [line.split("|") for line in lines]
    assert {len(row) for row in cells} == {7}, "a cell holds a bar"
    assert [row[1].strip() for row in cells[2:]] == [f"`{name}`" for name in available()]
    for row, cls in zip(cells[2:], available().values(), strict=True):
        assert all(f"`{key} = {value}`" in row[4] for key, value in defaults(cls.Params).items())


# --- doctor ------------------------------------------------------------------------------------


def test_the_doctor_finds_this_environment_healthy(capsys):
    from recbole_bns.adapters.mends import MENDS

    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "healthy"
    for word in ("python", "recbole ", "torch ", "numpy ", "scipy ", "pandas ", "ray", "device"):
        assert f"\n{word}" in f"\n{text}"
    for repair in MENDS:
        assert f"mend         {repair.name}: " in text


SICK = [
    ({"recbole": None}, "recbole is missing; pip install recbole"),
    ({"recbole": "1.1.1"}, "recbole 1.1.1 is not supported; pip install 'recbole>=1.2.0,<1.3'"),
    ({"recbole": "1.3.0"}, "recbole 1.3.0 is not supported; pip install 'recbole>=1.2.0,<1.3'"),
    ({"torch": None}, "torch is missing; pip install torch"),
    (
        {"pandas": "3.0.1"},
        "pandas 3.0.1 leaves RecBole's padding rows unfilled, silently; pip install 'pandas<3'",
    ),
]


@pytest.mark.parametrize(("versions", "sentence"), SICK)
def test_the_doctor_names_what_cannot_work_and_the_remedy(monkeypatch, capsys, versions, sentence):
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: versions[name] if name in versions else real(name)
    )
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"PROBLEM: {sentence}" in lines
    assert lines[-1] == "1 problem(s): training cannot work"


@pytest.mark.parametrize(("found", "code"), [(None, 1), ("a spec", 0)])
def test_the_doctor_knows_that_old_ray_needs_setuptools(monkeypatch, capsys, found, code):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda n: "2.6.3" if n == "ray" else real(n))
    monkeypatch.setattr(doctor, "find_spec", lambda name: found)
    assert main(["doctor"]) == code
    remedy = "PROBLEM: ray 2.6.3 needs pkg_resources; pip install 'setuptools<81'"
    assert (remedy in capsys.readouterr().out.splitlines()) == bool(code)


def test_the_doctor_survives_what_is_optional_or_broken(monkeypatch, capsys):
    real = doctor._version
    missing = {"ray", "matplotlib"}
    monkeypatch.setattr(doctor, "_version", lambda n: None if n in missing else real(n))
    assert main(["doctor"]) == 0
    assert "ray          not installed (only for sweeps; pip install" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "recbole_bns.training.run", None)
    monkeypatch.delattr("recbole_bns.training.run", raising=False)
    assert main(["doctor"]) == 1
    assert "install the tested set: pip install -c constraints.txt ." in capsys.readouterr().out


def test_the_console_command_is_this_function():
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["recbole-bns"].partition(":")
    assert getattr(import_module(module), name) is main


@pytest.mark.process
def test_samplers_and_help_need_neither_recbole_nor_torch_to_start():
    code = (
        "import sys; from recbole_bns.cli import main; "
        "assert main(['run', '--help']) == 0; assert main([]) == 0; "
        "assert not {'recbole', 'torch', 'numpy'} & set(sys.modules)"
    )
    root = str(ROOT)
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); {code}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert get("bns")
