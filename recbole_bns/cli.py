"""The command line: ``recbole-bns run | compare | tune | report | prepare | samplers | doctor``."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import UsageError
from .help_texts import (
    COMPARE_HELP,
    MAIN_HELP,
    PREPARE_HELP,
    REPORT_HELP,
    RUN_HELP,
    TUNE_HELP,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0, 1 for a failure, 2 for bad input, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # λ and · on a terminal that has only ASCII
            stream.reconfigure(errors="replace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {
        "run": run,
        "compare": compare,
        "tune": tune,
        "report": report,
        "prepare": prepare,
        "samplers": samplers,
        "doctor": doctor,
    }
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(MAIN_HELP)
        return 0
    try:
        if arguments[0] not in commands:
            from .errors import nearest

            raise UsageError(
                f"command: got '{arguments[0]}'{nearest(arguments[0], commands)}; allowed: "
                f"{', '.join(commands)}."
            )
        return commands[arguments[0]](arguments[1:])
    except UsageError as error:
        print(f"recbole-bns: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print(f"recbole-bns: {str(stopped) or 'stopped.'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141


def run(arguments: Sequence[str]) -> int:
    """``recbole-bns run``: train, test, print the table."""
    if {"-h", "--help"} & set(arguments):
        print(RUN_HELP)
        return 0
    flags = parse_flags(arguments)
    names = ("model", "dataset", "out", "result_file", "resume")
    own = {name: flags.pop(name, None) for name in names}
    files = flags.pop("config_files", None)
    from .quick_start import run_recbole_bns
    from .report import result_table
    from .signals import terminated_is_interrupted

    with terminated_is_interrupted():
        result = run_recbole_bns(
            own["model"],
            own["dataset"],
            files,
            flags,
            out=own["out"],
            result_file=own["result_file"],
            resume=own["resume"],
        )
    print(result_table(result))
    return 0


def compare(arguments: Sequence[str]) -> int:
    """``recbole-bns compare``: samplers side by side, over seeds."""
    if {"-h", "--help"} & set(arguments):
        print(COMPARE_HELP)
        return 0
    flags = parse_flags(["--neg_record=True" if w == "--record" else w for w in arguments])
    from . import compare as module

    command = f"recbole-bns compare {shlex.join(arguments)}".rstrip()
    return module.compare(module.read_plan(flags), command)


def tune(arguments: Sequence[str]) -> int:
    """``recbole-bns tune``: a sweep with Ray Tune."""
    if {"-h", "--help"} & set(arguments):
        print(TUNE_HELP)
        return 0
    flags = parse_flags([f"{word}=True" if word == "--resume" else word for word in arguments])
    resume = flags.pop("resume", False)
    if not isinstance(resume, bool):
        raise UsageError(f"--resume: got {resume!r}, allowed is --resume without a value.")
    from .tuning.compat import check_ray

    check_ray()
    from .tuning import sweep

    command = f"recbole-bns tune {shlex.join(arguments)}".rstrip()
    return sweep.tune(sweep.make_plan(flags, command, resume=resume), resume=resume)


def parse_flags(arguments: Sequence[str]) -> dict[str, Any]:
    """``--key=value`` and ``--key value`` as a mapping; values become what they spell.

    ``--config_files`` takes one or more paths.

    Raises:
        UsageError: not a flag, no value, or a flag given twice with different values.
    """
    from .settings import typed

    flags: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UsageError(f"argument '{word}': allowed are flags, --key=value or --key value.")
        key, equals, value = word[2:].partition("=")
        key = key.replace("-", "_")
        if key == "config_files":
            paths = value.split() if equals else []
            while not equals and rest and not rest[0].startswith("--"):
                paths.append(rest.pop(0))
            _set(flags, key, _given(key, paths))
            continue
        if not equals:
            value = _given(key, rest.pop(0) if rest and not rest[0].startswith("--") else "")
        elif key != "gpu_id":  # --gpu_id= is how RecBole is told to use the CPU
            _given(key, value)
        _set(flags, key, _listed(key, typed(value, key)))
    return flags


def _given(key: str, value: Any) -> Any:
    if not value:
        raise UsageError(f"--{key}: the value is missing; write --{key}=VALUE.")
    return value


def _listed(key: str, value: Any) -> Any:
    """``--topk=5,10`` and ``--metrics=NDCG,Recall`` are lists."""
    if (
        key not in {"topk", "metrics", "neg_record_scores"}
        or not isinstance(value, str)
        or "," not in value
    ):
        return value
    from .settings import typed

    return [typed(part.strip()) for part in value.split(",")]


def _set(flags: dict[str, Any], key: str, value: Any) -> None:
    if key in flags and flags[key] != value:
        raise UsageError(f"--{key}: given twice, {flags[key]!r} and {value!r}; write it once.")
    flags[key] = value


def prepare(arguments: Sequence[str]) -> int:
    """``recbole-bns prepare``: original files become RecBole's atomic files."""
    if {"-h", "--help"} & set(arguments):
        print(PREPARE_HELP)
        return 0
    parser = _Parser("recbole-bns prepare", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("dataset"))
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(arguments)
    from . import prepare as module

    source, out = options.source.expanduser(), options.out.expanduser()
    print(module.report(module.prepare(options.name, source, out, overwrite=options.overwrite)))
    return 0


def report(arguments: Sequence[str]) -> int:
    """``recbole-bns report``: a page, and pictures, of what runs did."""
    if {"-h", "--help"} & set(arguments):
        print(REPORT_HELP)
        return 0
    parser = _Parser("recbole-bns report", allow_abbrev=False)
    parser.add_argument("folders", metavar="RUN_DIR", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("report.html"))
    parser.add_argument("--png", type=Path)
    options = parser.parse_args(arguments)
    from . import analysis

    runs = analysis.read_runs(options.folders)
    charts = analysis.charts_of(runs)
    analysis.write_report(runs, options.out, charts)
    print(f"report: {options.out}")
    if options.png is not None:
        for path in analysis.write_pictures(charts.found, options.png):
            print(f"picture: {path}")
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, as everywhere else."""

    def error(self, message: str) -> NoReturn:
        """Bad arguments."""
        raise UsageError(f"{self.prog.partition(' ')[2]}: {message}; --help shows what is allowed.")


def samplers(arguments: Sequence[str]) -> int:
    """``recbole-bns samplers``: a table of what there is."""
    parser = argparse.ArgumentParser("recbole-bns samplers", description=samplers.__doc__)
    parser.add_argument("name", nargs="*", help="only these")
    parser.add_argument("--markdown", action="store_true", help="a Markdown table")
    options = parser.parse_args(arguments)
    from .report import sampler_table

    print(sampler_table(options.name, markdown=options.markdown))
    return 0


def doctor(arguments: Sequence[str]) -> int:
    """``recbole-bns doctor``: does this environment work?"""
    argparse.ArgumentParser("recbole-bns doctor", description=doctor.__doc__).parse_args(arguments)
    from .doctor import examine

    text, healthy = examine()
    print(text)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
