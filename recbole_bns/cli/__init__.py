"""The command line: ``recbole-bns run | compare | tune | report | predict | export | …``."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from recbole_bns.common.errors import UsageError
from recbole_bns.common.signals import terminated_is_interrupted
from recbole_bns.settings.declared import EXCLUDED, refuse_unread

from .flags import parse_flags
from .help_texts import COMPARE_HELP, MAIN_HELP, PREPARE_HELP, REPORT_HELP, RUN_HELP, TUNE_HELP


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
        "predict": _predict,
        "export": export,
        "samplers": _samplers,
        "doctor": _doctor,
    }
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(MAIN_HELP)
        return 0
    try:
        if arguments[0] not in commands:
            from recbole_bns.common.errors import nearest

            raise UsageError(
                f"command: got '{arguments[0]}'{nearest(arguments[0], commands)}; allowed: "
                f"{', '.join(commands)}."
            )
        if arguments[0] == "tune":  # Ray has handlers of its own
            return tune(arguments[1:])
        with terminated_is_interrupted():  # so that what is half written is taken away
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
    refuse_unread(flags)
    names = ("model", "dataset", "out", "result_file", "resume")
    own = {name: flags.pop(name, None) for name in names}
    files = flags.pop("config_files", None)
    from recbole_bns.runs.results import result_table
    from recbole_bns.training.run import run_recbole_bns

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
    flags = parse_flags(arguments, {"--record": "--neg_record=True"})
    from recbole_bns.compare import command as module
    from recbole_bns.compare import plan

    command = f"recbole-bns compare {shlex.join(arguments)}".rstrip()
    return module.compare(plan.read_plan(flags), command)


def tune(arguments: Sequence[str]) -> int:
    """``recbole-bns tune``: a sweep with Ray Tune."""
    if {"-h", "--help"} & set(arguments):
        print(TUNE_HELP)
        return 0
    flags = parse_flags(arguments, {"--resume": "--resume=True"})
    resume = flags.pop("resume", False)
    if not isinstance(resume, bool):
        raise UsageError(f"--resume: got {resume!r}, allowed is --resume without a value.")
    from recbole_bns.tuning.ray_versions import check_ray

    check_ray()
    from recbole_bns.tuning import sweep

    command = f"recbole-bns tune {shlex.join(arguments)}".rstrip()
    return sweep.tune(sweep.make_plan(flags, command, resume=resume), resume=resume)


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
    from recbole_bns.datasets import prepare as module

    source, out = options.source.expanduser(), options.out.expanduser()
    done = module.prepare(options.name, source, out, overwrite=options.overwrite)
    print(module.report(done))
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
    from recbole_bns import analysis

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


def _predict(arguments: Sequence[str]) -> int:
    """``recbole-bns predict``: recommendations of a trained model."""
    parser = _Parser("recbole-bns predict", description=_predict.__doc__, allow_abbrev=False)
    parser.add_argument("--checkpoint", required=True, help="a run's folder, or a file in it")
    parser.add_argument("--users", help="ids separated by commas, or a file (default: all)")
    parser.add_argument("--k", type=int, default=20, help="items a user")
    parser.add_argument(
        "--exclude",
        choices=EXCLUDED,
        default="all",
        help="leave out what the user has touched: all of it, in training, or nothing",
    )
    parser.add_argument("--out", type=Path, default=Path("recommendations.csv"))
    options = parser.parse_args(arguments)
    if options.k < 1:
        raise UsageError(f"--k: got {options.k}, allowed is an integer >= 1.")
    from recbole_bns.common import table_files as serve_files
    from recbole_bns.training import trained as serve

    from .predict import users_of

    serve_files.check_path(options.out, (".csv", ".parquet"))
    trained = serve.load(options.checkpoint)
    users = users_of(options.users)
    table = serve.recommend(trained, users, options.k, options.exclude)
    serve_files.write_table(table, options.out)
    print(f"written: {options.out}, {len(table)} lines, {table.iloc[:, 0].nunique()} users")
    return 0


def export(arguments: Sequence[str]) -> int:
    """``recbole-bns export``: vectors of users and items of a trained model."""
    parser = _Parser("recbole-bns export", description=export.__doc__, allow_abbrev=False)
    parser.add_argument("--checkpoint", required=True, help="a run's folder, or a file in it")
    parser.add_argument("--out", type=Path, default=Path("embeddings"), help="a folder")
    parser.add_argument("--format", choices=["npz", "csv", "parquet"], default="npz")
    options = parser.parse_args(arguments)
    from recbole_bns.common import table_files as serve_files
    from recbole_bns.training import trained as serve

    paths = {name: options.out / f"{name}.{options.format}" for name in ("users", "items")}
    serve_files.check_path(paths["users"], (".npz", ".csv", ".parquet"), "--format")
    for name, (ids, vectors) in serve.embeddings(serve.load(options.checkpoint)).items():
        serve_files.write_embeddings(f"{name[:-1]}_id", ids, vectors, paths[name])
        print(f"written: {paths[name]}, {len(ids)} vectors of {vectors.shape[1]} numbers")
    return 0


def _samplers(arguments: Sequence[str]) -> int:
    """``recbole-bns samplers``: a table of what there is."""
    parser = argparse.ArgumentParser("recbole-bns samplers", description=_samplers.__doc__)
    parser.add_argument("name", nargs="*", help="only these")
    parser.add_argument("--markdown", action="store_true", help="a Markdown table")
    options = parser.parse_args(arguments)
    from .samplers import sampler_table

    print(sampler_table(options.name, markdown=options.markdown))
    return 0


def _doctor(arguments: Sequence[str]) -> int:
    """``recbole-bns doctor``: does this environment work?"""
    argparse.ArgumentParser("recbole-bns doctor", description=_doctor.__doc__).parse_args(arguments)
    from .doctor import examine

    text, healthy = examine()
    print(text)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
