"""Time epochs of LightGCN with exact BNS beside busy processes: threads, and how they wait.

    python benchmarks/busy.py                             # as installed, beside 0, 1 and 4 of them
    python benchmarks/busy.py --spin default 0 10000 --threads 1 2
    python benchmarks/busy.py --model BPR --busy 0

A process a kind of waiting: ``ours`` as a run has it, ``default`` leaves it to OpenMP, a number is
how often GNU's looks for work before it sleeps, which it reads when it is loaded. In it every
number of threads trains a few epochs beside every number of busy processes, which do nothing but
run; ``auto`` is chosen anew each time, as at the start of a run, and a run that began with both
cores free is the row of as many threads. ``cores of others`` is what was seen while it trained.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from tabulate import tabulate

SETTLE = 0.5
"""Seconds that busy processes get to start."""
ENOUGH = 15.0
"""Seconds after which no further epoch is begun in a cell."""
VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


def environment(spin: str) -> dict[str, str]:
    """Variables of a process that waits so."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return kept if spin in {"default", "ours"} else {**kept, "GOMP_SPINCOUNT": spin}


@contextmanager
def beside(number: int) -> Iterator[None]:
    """So many busy processes, which are ended by their number afterwards."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        sleep(SETTLE)
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


class Trainer:
    """A process that trains epochs when it is told to."""

    def __init__(self, spin: str, words: list[str]) -> None:
        words = ["--child", spin, *words]
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(spin),
        )
        self.answer()

    def answer(self) -> list[float]:
        """The next line of the process."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def train(self, threads: str, epochs: int) -> list[float]:
        """The threads that were taken, and seconds of each epoch."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{threads} {epochs}\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def child(spin: str, model: str, data: str, batches: int | None) -> None:
    """Read ``threads epochs``, train, and print the threads taken and the seconds."""
    import torch
    from epoch import Row, prepare

    from recbole_bns.adapters.mends import quiet, tensorboard_in
    from recbole_bns.common.threads import Moment, choose, others_between
    from recbole_bns.training.threads import Pace, sleeps

    most = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as temporary, quiet():
        settings, parts = prepare(data, Path(temporary), model)
        with tensorboard_in(Path(temporary) / "tensorboard"):
            row = Row("bns-exact", model, settings, parts, batches)
        row.run()
        print("[]", flush=True)
        for line in sys.stdin:
            threads, epochs = line.split()
            setting = threads if threads == "auto" else int(threads)
            ours = spin == "ours"
            number = choose(setting, most=most, sleep=ours and sleeps()).number
            torch.set_num_threads(number)
            row.seconds.clear()
            before = Moment.now()
            with Pace(row.trainer.sampler) as pace:
                watch = pace.batch if ours else lambda: None
                hook = row.trainer.optimizer.register_step_post_hook(lambda *_, w=watch: w())
                for _ in range(int(epochs)):
                    row.run()
                    if sum(row.seconds) > ENOUGH:
                        break
                hook.remove()
            others = others_between(before, Moment.now())
            print(json.dumps([torch.get_num_threads(), others, *row.seconds]), flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="ml-100k", choices=["ml-100k", "ml-1m"])
    parser.add_argument("--model", default="LightGCN-1")
    parser.add_argument("--spin", nargs="+", default=["default", "ours"], metavar="N")
    parser.add_argument("--threads", nargs="+", default=["auto", "2"], metavar="N")
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 4], metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="timed epochs a cell")
    parser.add_argument("--batches", type=int, help="of each epoch, instead of all")
    parser.add_argument("--child", metavar="SPIN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        sys.argv = sys.argv[:1]
        child(options.child, options.model, options.data, options.batches)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    words = ["--model", options.model, "--data", options.data]
    words += ["--batches", str(options.batches)] if options.batches else []
    rows = []
    for spin in options.spin:
        trainer = Trainer(spin, words)
        try:
            for threads in options.threads:
                for busy in options.busy:
                    with beside(busy):
                        taken, others, *seconds = trainer.train(threads, options.rounds)
                    cells = [f"{f(seconds):.3f}" for f in (statistics.median, min, max)]
                    rows.append([spin, f"{threads} ({taken:.0f})", busy, f"{others:.2f}", *cells])
                    print(*rows[-1], file=sys.stderr)
        finally:
            trainer.stop()
    heads = ["spin", "threads", "busy", "cores of others", "median s", "least", "most"]
    print(tabulate(rows, heads, tablefmt="github"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
