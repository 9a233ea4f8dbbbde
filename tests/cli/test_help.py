"""Help, the version, unknown commands, and how a command ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from tiny import ROOT, run_fresh

import recbole_bns
from recbole_bns.cli import COMMANDS, main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.cli.parser import Parser
from recbole_bns.sampling import available
from recbole_bns.settings.declared import ours


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_the_commands(words, capsys):
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in ("run", "compare", "prepare", "samplers", "doctor"))
    assert all(f"\n  recbole-bns {command} " in text for command in COMMANDS)
    assert "\n  recbole-bns --version " in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--epochs=3", "--help"]])
def test_help_of_run_fits_on_a_screen_and_shows_examples(words, capsys):
    assert main(["run", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert all(name in text for name in available()), "a sampler is missing"
    flags = ("--model", "--dataset", "--neg_sampler_args.", "--config_files", "--out", "--result")
    assert all(flag in text for flag in flags)
    assert all(f"--{name}" in text for name in ours()), "a setting of ours is missing"
    examples = [line for line in lines if line.startswith("  recbole-bns run ")]
    assert len(examples) >= 2
    for example in examples:
        flags = parse_flags(example.split()[2:])
        assert flags.get("neg_sampler", "bns") in available()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_asked_for_in_four_ways(command, capsys):
    texts = set()
    for words in ([command, "--help"], [command, "x", "-h"], ["help", command], ["-h", command]):
        assert main(words) == 0
        texts.add(capsys.readouterr().out)
    (text,) = texts
    assert text.count("\n") > 3
    others = {
        f"recbole-bns {name} " for name in set(COMMANDS) - {command, "run", "compare", "samplers"}
    }
    assert not [name for name in others if name in text], "it speaks of another command"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_help_are_read(command, capsys):
    assert main(["help", command]) == 0
    text = capsys.readouterr().out
    examples = re.findall(rf"^(?:example:)? *recbole-bns {command} (.*[=-].*)$", text, re.MULTILINE)
    assert len(examples) >= {"doctor": 0, "samplers": 0, "losses": 0, "mixers": 0}.get(command, 1)
    parser = import_module(f"recbole_bns.cli.{command}").parser()
    for example in examples:
        read = parser.read_open if command in {"run", "compare", "tune"} else parser.read
        assert read(example.split())


def test_every_flag_of_a_parser_is_explained():
    for command in COMMANDS:
        parser = import_module(f"recbole_bns.cli.{command}").parser()
        assert isinstance(parser, Parser)
        assert all(action.help for action in parser._actions), command


def test_the_example_of_the_short_help_runs(monkeypatch, capsys):
    seen: list[Any] = []
    monkeypatch.setattr(
        "recbole_bns.cli.run.command", lambda words: seen.append(parse_flags(words)) or 0
    )
    main([])
    example = capsys.readouterr().out.splitlines()[-1]
    assert example.startswith("example: recbole-bns run ")
    assert main(example.split()[2:]) == 0
    assert seen == [{"model": "LightGCN", "dataset": "ml-100k", "neg_sampler": "bns"}]


@pytest.mark.parametrize("words", [["--version"], ["run", "--version"], ["tune", "--version"]])
def test_the_version(words, capsys):
    assert main(words) == 0
    assert capsys.readouterr().out == f"recbole-bns {recbole_bns.__version__}\n"


ALLOWED = (
    "allowed: run, compare, tune, study, runs, report, prepare, predict, export, samplers, losses, "
    "mixers, doctor."
)


def test_an_unknown_command_is_named_with_the_nearest(capsys):
    assert main(["sampler"]) == 2
    assert capsys.readouterr().err == (
        f"recbole-bns: command: got 'sampler'; did you mean 'samplers'?; {ALLOWED}\n"
    )


NO_COMMAND = [
    (["--verison"], f"command: got '--verison'; did you mean '--version'?; {ALLOWED}"),
    (["--model=BPR"], f"command: got '--model=BPR'; {ALLOWED}"),
    (["help", "run", "tune"], "help: got 'tune' after 'run'; allowed is one topic."),
]


@pytest.mark.parametrize(("words", "sentence"), NO_COMMAND)
def test_what_is_no_command_is_refused(words, sentence, capsys):
    assert main(words) == 2
    assert capsys.readouterr() == ("", f"recbole-bns: {sentence}\n")


# --- How a command ends ------------------------------------------------------------------------


def test_ctrl_c_ends_quietly(monkeypatch, capsys):
    def stop(words: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("recbole_bns.cli.run.command", stop)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "recbole-bns: stopped.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_sigterm_ends_every_command_but_tune_as_ctrl_c_does(command, monkeypatch, capsys):
    seen = []

    def ask(words: Any) -> int:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            seen.append("nobody listens")
            return 0
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    monkeypatch.setattr(f"recbole_bns.cli.{command}.command", ask)
    assert main([command]) == (0 if command == "tune" else 130)
    assert seen == (["nobody listens"] if command == "tune" else [])
    assert capsys.readouterr().err == ("" if command == "tune" else "recbole-bns: stopped.\n")


@pytest.mark.process
@pytest.mark.parametrize("words", ["--help", "samplers --markdown"])
def test_a_closed_pipe_ends_quietly(words):
    """Nobody reads: status 141, as of a program that SIGPIPE ends, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "recbole_bns.cli", *words.split()],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_the_console_command_is_this_function():
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["recbole-bns"].partition(":")
    assert getattr(import_module(module), name) is main


@pytest.mark.process
def test_help_and_refusals_bring_neither_torch_nor_pandas(tmp_path):
    """All in one process: what any of them imports is found at the end."""
    wrong = [
        "sampler",
        "run --seed=1 --seed=2",
        "run --epochs",
        "compare --jobs",
        "tune --resume=yes",
        "report --ouput=x",
        "prepare ml-1m",
        "predict --exclude=some --checkpoint=x",
        "predict --checkpoint=nowhere",
        "export --checkpoint=nowhere",
        "export --format=xls",
        "samplers --markdwon",
        "losses --markdwon",
        "doctor now",
        "run --neg_sampler=bsn",
        "run --model=bpr",
        "run --learning_rat=1",
        "run --epochs=many",
        "run --neg_sampler_args.candidate_num=0",
        "run --loss=smm",
        "run --dataset=ml-1n",
        "run --resume=nowhere",
        "compare --samplers=rns,bsn",
        "compare --losses=smm",
        "tune --neg_sampler=bsn",
        "samplers bsn",
        "losses smm",
        "report nowhere",
        "help lerning_rate",
    ]
    right = [
        "samplers",
        "samplers bns",
        "losses",
        "mixers",
        "help settings",
        "help learning_rate",
        "help candidate_num",
        "help ssm",
        "help n_layers",
        "runs .",
    ]
    code = f"""
import sys
from contextlib import redirect_stdout
from io import StringIO
from recbole_bns.cli import COMMANDS, main

for words in ([], ["--help"], *([name, "--help"] for name in COMMANDS)):
    with redirect_stdout(StringIO()) as output:
        assert main(words) == 0, words
    assert " ".join(["recbole-bns", *words[:-1]]) in output.getvalue(), output.getvalue()
heavy = {{"torch", "recbole", "ray", "pandas", "numba", "sklearn", "scipy", "plotly", "matplotlib"}}
assert not (heavy | {{"yaml", "numpy"}}) & set(sys.modules), heavy & set(sys.modules)
for words in {wrong}:
    assert main(words.split()) == 2, words
for words in {right}:
    with redirect_stdout(StringIO()):
        assert main(words.split()) == 0, words
assert not {{"recbole", "torch", "pandas", "ray"}} & set(sys.modules)
"""
    run_fresh(code, tmp_path)


BEGINNINGS = [
    ("run --model=BPR --neg_sampler=dns", "BPR on ml-100k with dns"),
    ("run --model=BPR --show_progress=False", ""),
    ("compare --samplers=rns,dns --show_progress=False", ""),
    ("compare --samplers=rns,dns", "comparison of rns, dns: LightGCN on ml-100k"),
    ("tune --loss=ssm", "sweep over LightGCN on ml-100k with bns+ssm"),
]


@pytest.mark.process
def test_a_line_says_what_is_begun_before_anything_slow_is_imported(tmp_path):
    """What comes after it is another module, which sees that nothing was imported."""
    code = f"""
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import ModuleType
from recbole_bns.cli import main
from recbole_bns.common.errors import UsageError

class Slow(ModuleType):
    def __getattr__(self, name):
        assert not {{"torch", "recbole", "pandas", "ray"}} & set(sys.modules)
        raise UsageError("slow")

for name in ("runs.results", "compare.command", "compare", "tuning.sweep"):
    sys.modules[f"recbole_bns.{{name}}"] = Slow(name)
for words, said in {BEGINNINGS}:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main(words.split()) == 2
    line = f"{{said}}: loading PyTorch and RecBole\\n" if said else ""
    assert (out.getvalue(), err.getvalue()) == ("", f"{{line}}recbole-bns: slow\\n"), err.getvalue()
"""
    run_fresh(code, tmp_path)
