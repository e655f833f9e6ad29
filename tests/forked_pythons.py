"""Pythons that a command starts, as forks of it.

joblib and submitit start each worker as `python -m MODULE`, which imports torch and transformers
for seconds. A fork of the command goes on as that Python would, with its arguments, environment,
files and exit code, and has imported them already.
"""

import _posixsubprocess
import atexit
import contextlib
import functools
import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

_ORDINARY = _posixsubprocess.fork_exec
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def fork_pythons() -> None:
    """Makes every `python -m MODULE` and `python -c CODE` of this process a fork from now on."""
    for module in (_posixsubprocess, subprocess):  # joblib and multiprocessing call the first
        for name in {"fork_exec", "_fork_exec"} & set(vars(module)):
            setattr(module, name, _fork_exec)


def _fork_exec(args: Sequence[Any], executables: Any, close_fds: bool, *more: Any) -> int:
    """As `_posixsubprocess.fork_exec`, which other commands still get."""
    going_on = _python([os.fsdecode(argument) for argument in args])
    if going_on is None:
        return _ORDINARY(args, executables, close_fds, *more)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if pid := os.fork():
        return pid
    try:
        pass_fds, cwd, environment, stdin, _, _, stdout, _, stderr, _, until_exec = more[:11]
        _take_files((stdin, stdout, stderr), set(pass_fds) - {until_exec})
        _forget_the_command()
        if environment is not None:
            os.environb.clear()
            os.environb.update(line.split(b"=", 1) for line in environment)
        if cwd is not None:
            os.chdir(cwd)
        exit_as_python(going_on)
    finally:
        os._exit(1)  # the frames above are the command's: none of them may go on here


def _python(command: Sequence[str]) -> Callable[[], Any] | None:
    """What a Python of this command line does; None for other commands and options."""
    options = [argument for argument in command[1:] if argument != "-u"]
    match (command[0] == sys.executable, *options):
        case (True, "-m", module, *arguments):
            return functools.partial(_run_module, module, arguments)
        case (True, "-c", code, *arguments):
            return functools.partial(_run_code, code, arguments)
    return None


def _run_module(name: str, arguments: Sequence[str]) -> None:
    sys.argv[1:] = arguments
    sys.modules.pop(name, None)  # else runpy warns
    if name == "submitit.local._local":
        _wait_for(Path(arguments[0].replace("%j", str(os.getpid()))))
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _wait_for(folder: Path, seconds: float = 60.0) -> None:
    """submitit makes a job's folder after it has started the process that needs it."""
    until = time.monotonic() + seconds
    while not folder.exists() and time.monotonic() < until:
        time.sleep(0.01)


def _run_code(code: str, arguments: Sequence[str]) -> None:
    sys.argv[:] = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})


def _take_files(streams: Sequence[int], kept: Collection[int]) -> None:
    """Makes these stdin, stdout and stderr, unless negative, and closes all files but the kept.

    Their numbers stay taken: the command's objects, which are still here, may close them later.
    """
    for number, stream in enumerate(streams):
        if stream >= 0:
            os.dup2(stream, number)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in sorted({int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, nothing}):
        if number not in kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.fstat(number)
                os.dup2(nothing, number)


def _forget_the_command() -> None:
    """Undoes what a fresh interpreter does not have: handlers of signals, exits and logs."""
    atexit._clear()
    for number in _HANDLED:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)  # a training of the command has one, which is no file here
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.root.handlers.clear()
    logging.root.setLevel(logging.WARNING)


def exit_as_python(going_on: Callable[[], Any]) -> NoReturn:
    """Goes on to the end, and ends the process as a Python would, but for what it holds.

    Freeing that takes a second of work: each of its pages is shared with the process that forked.
    """
    try:
        code = _exit_code(going_on)
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def _exit_code(going_on: Callable[[], Any]) -> int:
    """Goes on to the end, and returns what the interpreter would end with."""
    try:
        going_on()
        code: object = 0
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        traceback.print_exc()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    return code if isinstance(code, int) else int(code is not None)
