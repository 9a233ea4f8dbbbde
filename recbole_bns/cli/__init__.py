"""The command line: ``recbole-bns run | compare | tune | report | predict | export | …``.

A command is a module of its name, with ``parser()`` and ``command(words)``; it is imported when it
is asked for, and what it does the work with when that begins.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.signals import terminated_is_interrupted
from recbole_bns.common.version import __version__

COMMANDS = {
    "run": ("[FLAGS]", "train and test a model"),
    "compare": ("", "samplers side by side, over seeds"),
    "tune": ("", "search hyper-parameters with Ray Tune"),
    "study": ("noise", "a paper's question, with figures"),
    "runs": ("[DIR]", "what lies in runs/: data, model, metric, size"),
    "report": ("DIR", "a page of what runs did"),
    "prepare": ("NAME", "data files from their originals"),
    "predict": ("", "recommendations of a trained model"),
    "export": ("", "its vectors of users and items"),
    "samplers": ("", "the samplers, their parameters and papers"),
    "losses": ("", "the losses, their parameters and papers"),
    "mixers": ("", "what makes negatives of candidates"),
    "doctor": ("", "versions, mends of the host, devices"),
}
"""Name -> the words after it that matter most, and what it is for."""

EXAMPLE = "example: recbole-bns run --model=LightGCN --dataset=ml-100k --neg_sampler=bns"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0, 1 for a failure, 2 for bad input, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # λ and · on a terminal that has only ASCII
            stream.reconfigure(errors="replace")
    try:
        status = _answer(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except UsageError as error:
        print(f"recbole-bns: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print(f"recbole-bns: {str(stopped) or 'stopped.'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141


def _answer(words: list[str]) -> int:
    """Print the help or the version, or run a command."""
    first, *rest = words or ["help"]
    if "--version" in (first, *rest[:1]):  # run_recbole_bns.py puts `run` first
        print(f"recbole-bns {__version__}")
        return 0
    if first in {"-h", "--help", "help"}:
        return _help(rest)
    if first not in COMMANDS:
        _refuse(first)
    if {"-h", "--help"} & set(rest):
        return _help([first])
    module = import_module(f"{__name__}.{first}")
    if first == "tune":  # Ray has handlers of its own
        return int(module.command(rest))
    with terminated_is_interrupted():  # so that what is half written is taken away
        return int(module.command(rest))


def _help(words: list[str]) -> int:
    """Print the help of the command or the topic that is named, or the list of commands."""
    if not words:
        print(_overview())
        return 0
    if len(words) > 1:
        raise UsageError(f"help: got '{words[1]}' after '{words[0]}'; allowed is one topic.")
    if words[0] in COMMANDS:
        print(import_module(f"{__name__}.{words[0]}").parser().format_help(), end="")
        return 0
    from recbole_bns.common.terminal import width_of

    from .topics import page

    print(page(words[0], width_of(sys.stdout), COMMANDS))
    return 0


def _refuse(word: str) -> NoReturn:
    hint = nearest(word, [*COMMANDS, "help", "--help", "--version"])
    raise UsageError(f"command: got '{word}'{hint}; allowed: {', '.join(COMMANDS)}.")


def _overview() -> str:
    """The commands, a line each."""
    rows = [(f"{name} {after}".rstrip(), what) for name, (after, what) in COMMANDS.items()]
    rows += [
        ("help COMMAND", "its flags, with examples"),
        ("help TOPIC", "settings, or the name of one, of a sampler, a loss …"),
        ("--version", "of this package"),
    ]
    lines = [f"  recbole-bns {words:<13} {what}" for words, what in rows]
    title = "recbole-bns: negative samplers for RecBole."
    return "\n".join([title, "", *lines, "", EXAMPLE])


def _drop_output() -> None:
    """Nobody reads on: what is still to be printed goes nowhere, without a word of Python's."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    sys.stderr.close()
