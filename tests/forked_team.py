"""The processes of one run as forks of the test, with its memory and patches, yet by the launcher.

PyTorch's launcher has threads while it starts processes, and a fork of a process whose threads hold
a lock just then may wait for that lock for ever. So a *nursery* is forked before the launcher
begins. The launcher starts small programs, as it starts ours, and each has the nursery fork the
process that it stands for. It ends as that process ends, and when it is ended so is the process.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STAND_IN = """
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    words = json.dumps([sys.argv[2], dict(os.environ)]).encode()
    socket.send_fds(line, [len(words).to_bytes(8, "big")], [1, 2])
    line.sendall(words)
    signal.signal(signal.SIGTERM, lambda *_: line.sendall(b"!"))
    status = int(line.makefile().readline())
if status < 0:
    os.kill(os.getpid(), -status)
os._exit(status)
"""
"""A program that stands for a process: the nursery's socket and the job are its words."""
LOOK = 0.01
"""Seconds between two looks of a nursery at its processes."""


@contextmanager
def nursery(place: Path, main: Callable[[str], None]) -> Iterator[list[str]]:
    """A nursery, which ends with the context.

    Args:
        place: a folder for its socket and for the numbers of its processes.
        main: what each process does with the path of its job.

    Yields:
        the words of a program that stands for a process, but for the job.
    """
    gc.collect()  # a launcher of before ends its threads here, and not in a process without them
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place / "door"))
        door.listen()
        owner, process = os.getpid(), os.fork()
        if not process:
            try:
                _serve(door, place, main, owner)
            except BaseException:
                (place / "nursery").write_text(traceback.format_exc(), encoding="utf-8")
            finally:
                os._exit(1)
    try:
        yield ["-I", "-S", "-c", STAND_IN, str(place / "door")]
    finally:
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)


def numbers(place: Path) -> list[int]:
    """Numbers of the processes that a nursery has forked, by rank."""
    lines = (place / "numbers").read_text(encoding="utf-8").splitlines()
    return [number for _, number in sorted(tuple(map(int, line.split())) for line in lines)]


def _serve(door: socket.socket, place: Path, main: Callable[[str], None], owner: int) -> None:
    """Be a nursery until a signal comes, or who asked for it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines: dict[int, socket.socket] = {}
    going: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: going.append(1))
    while os.getppid() == owner and not going:
        ready, _, _ = select.select([door, *lines.values()], [], [], LOOK)
        for process, line in lines.items():
            if line in ready:  # the program was told to end, or was ended
                os.kill(process, signal.SIGTERM if line.recv(1) else signal.SIGKILL)
        if door in ready:
            line, _ = door.accept()
            lines[_born(line, place, main, owner)] = line
        for process in list(lines):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                with contextlib.suppress(BrokenPipeError), lines.pop(process) as line:
                    line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    for process in lines:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _born(line: socket.socket, place: Path, main: Callable[[str], None], owner: int) -> int:
    """Fork the process that a program stands for; its number."""
    head, streams, _, _ = socket.recv_fds(line, 8, 2)
    words = b""
    while len(words) < int.from_bytes(head, "big"):
        words += line.recv(1 << 16)
    job, variables = json.loads(words)
    process = os.fork()
    if not process:
        os.getppid = lambda: owner  # it ends with the nursery, and that with its owner
        _live(job, variables, streams, main)
    for stream in streams:
        os.close(stream)
    with (place / "numbers").open("a", encoding="utf-8") as file:
        file.write(f"{variables['RANK']} {process}\n")
    return process


def _live(
    job: str, variables: dict[str, str], streams: list[int], main: Callable[[str], None]
) -> None:
    """Be the process."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
        os.environ.clear()
        os.environ.update(variables)
        main(job)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
