"""Commands as forks of one process that has imported what they need.

`python -m lora_sweep` imports for seconds before it does anything. A fork of a process that has
done so starts at once, and is a process like any other: with a number, signals and exit code of
its own. Run as a script, this file is that process; `Fork` is the tests' side.
"""

import contextlib
import errno
import faulthandler
import functools
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forked_pythons import exit_as_python, fork_pythons

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RAY_worker_niceness": "0"}
"""Of every command in the tests: a core a process, nothing from the network, Ray as the others."""
PRELOADED = (
    *("lora_sweep.commands.run", "lora_sweep.execution.execute", "lora_sweep.report.show"),
    *("lora_sweep.search.search", "lora_sweep.search.confirm", "lora_sweep.search.results"),
    *("lora_sweep.launch.callbacks", "lora_sweep.launch.executors.local", "PIL.Image"),
    *("transformers.models.bert.modeling_bert", "transformers.models.auto.tokenization_auto"),
    *("joblib.externals.loky", "submitit.core.submission", "hydra._internal.logging_config"),
    *("lora_sweep.cli", "lora_sweep.commands.completion", "lora_sweep.data.sources"),
    *("pandas.core.reshape.reshape", "pandas.io.formats.csvs", "pyarrow.pandas_compat"),
)
_OF_THE_SERVER = {"MPLBACKEND": "agg", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_OVERRIDES = (
    *("lr=0.002,1e-7", "seed=range(5)", "n_seeds=2", "rank.average=interval(1,4)", "device=cpu"),
    *("lr=tag(log,interval(0.001,0.1))", "hydra/sweeper/sampler=random", "paths.sweep='a b'"),
    *("init.values=[0.5,-2e-1]", "+hydra.launcher.ray.init.num_cpus=2", "data.metric=null"),
    *("hydra.sweeper.confirm={n_best: 1, n_seeds: 1}", "paths.outputs=/tmp/a_b-c/D.0/outputs"),
    *("~hydra.callbacks.report", "hydra.callbacks.report.figures=false", "init=randn,quadratic"),
)
"""One of each form that commands have: the first of a form is parsed slowly."""
SECONDS_TO_START = 300.0
"""Of the process that forks: it imports for seconds, and several may on a busy machine."""
_LOCK = threading.Lock()


class Fork:
    """`python -m MODULE ARGUMENTS`, as a `subprocess.Popen` whose outputs come together."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        output: int | None = None,
    ) -> None:
        """Starts it.

        Args:
            command: the module, or a script's path, and its arguments.
            cwd: folder that it runs in.
            env: its whole environment.
            output: file that both outputs go to; None for one that `communicate` returns.
        """
        self.returncode: int | None = None
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - as long as the process
        self._status, theirs = socket.socketpair()
        for own in (self._output, self._status):  # of one that nobody waits for
            weakref.finalize(self, own.close)
        request = {"command": list(command), "cwd": str(cwd), "env": dict(env)}
        content = json.dumps(request).encode() + b"\n"
        with _LOCK:
            requests = _server()
            with theirs:
                fds = [self._output.fileno() if output is None else output, theirs.fileno()]
                sent = socket.send_fds(requests, [content], fds)
            requests.sendall(content[sent:])
            self.pid = self._number()

    def _number(self) -> int:
        """What the server tells next: the process's number, then its exit code."""
        told = self._status.recv(8, socket.MSG_WAITALL)
        if len(told) < 8:
            raise ChildProcessError("the process that forks commands is gone")
        return int.from_bytes(told, "little", signed=True)

    def poll(self) -> int | None:
        """Returns the exit code, negative for a signal; None as long as it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = self._number()
            self._status.close()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Returns the exit code once it has ended."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            select.select([self._status], [], [], 1)
        return code

    def communicate(self, timeout: float) -> tuple[str, None]:
        """Waits for its end, and returns both its outputs as one text.

        Raises:
            TimeoutError: it goes on; the message has its output, and where each thread stands.
        """
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGABRT)  # `faulthandler` says where it stands
            self.wait(60)
            raise TimeoutError(f"not ended after {timeout} s:\n{self._text()}") from None
        return self._text(), None

    def _text(self) -> str:
        with self._output:
            self._output.seek(0)
            return self._output.read().decode()

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)


@functools.cache
def _server() -> socket.socket:
    """The way to the process that forks: one for all processes of a test run, gone with the last.

    Whoever can bind its address starts it. It greets whom it takes, so that one which meets a
    process about to end goes on to the next.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    address = str(Path(tempfile.gettempdir()) / f"forks-of-{run}")
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        _start_if_first(address)
        ours = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(ConnectionError, FileNotFoundError):
            ours.connect(address)
            if ours.recv(1):
                return ours
        ours.close()
        time.sleep(0.05)
    raise TimeoutError(f"no process that forks commands at {address}")


def _start_if_first(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return
            raise
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            env={**os.environ, **ENVIRONMENT, **_OF_THE_SERVER},
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
    process.returncode = 0  # it may outlive this process, and nobody waits for it


def _main() -> None:
    """Imports, then forks a process for each request; each goes on to its end from here."""
    del sys.path[0]  # this file's folder: no command has it
    for module in PRELOADED:
        importlib.import_module(module)
    _warm_up()
    threads = os.listdir("/proc/self/task") if sys.platform == "linux" else [""]
    assert len(threads) == 1, "a thread is lost in a fork"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: meant for pytest
    gc.freeze()
    request, output = _wait_for_request(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _take_output(output)
    faulthandler.enable(file=2)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if not request["env"].get("LORA_SWEEP_TORTURE"):  # the long version has true workers
        fork_pythons()
    what, *sys.argv[1:] = request["command"]
    is_script = what.endswith(".py")
    sys.path.insert(0, str(Path(what).parent) if is_script else request["cwd"])  # as python does
    if is_script:
        exit_as_python(functools.partial(runpy.run_path, what, run_name="__main__"))
    exit_as_python(functools.partial(runpy.run_module, what, run_name="__main__", alter_sys=True))


def _warm_up() -> None:
    """Fills what Hydra's grammars and transformers keep once they have been used."""
    from hydra import compose, initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    from lora_sweep.config.store import CONF

    with initialize_config_dir(CONF):
        compose("config", ["data=files", "data.dev='a b.tsv'"], return_hydra_config=True)
    OverridesParser.create().parse_overrides(list(_OVERRIDES))
    get_checkpoint_conversion_mapping("bert")


def _wait_for_request(listener: socket.socket) -> tuple[dict[str, Any], int]:
    """Returns in each fork: what it is to do, and where its outputs go."""
    users: list[socket.socket] = []
    running: dict[int, tuple[socket.socket, socket.socket]] = {}  # its status, whom it is for
    while True:
        seconds = 0.005 if running else SECONDS_TO_START
        ready, _, _ = select.select([listener, *users], [], [], seconds)
        for user in set(ready) - {listener}:
            content, fds, _, _ = socket.recv_fds(user, 1 << 20, 2)
            if not content:
                for pid in [pid for pid, (_, asker) in running.items() if asker is user]:
                    os.kill(pid, signal.SIGKILL)
                users.remove(user)
                continue
            while not content.endswith(b"\n"):
                content += user.recv(1 << 20)
            output, status = fds[0], socket.socket(fileno=fds[1])
            if (pid := os.fork()) == 0:
                for other in (listener, status, *users, *(one for one, _ in running.values())):
                    other.close()
                return json.loads(content), output
            running[pid] = status, user
            _tell(status, pid)
            os.close(output)
        if listener in ready:
            users.append(listener.accept()[0])
            users[-1].sendall(b"!")
        elif not users:
            os.unlink(listener.getsockname())
            sys.exit()
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with running.pop(ended[0])[0] as status:
                _tell(status, os.waitstatus_to_exitcode(ended[1]))


def _take_output(file: int) -> None:
    """Makes a file both outputs, as Python makes them: a terminal's lines appear one by one."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(file, number)
        stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        if name == "stderr":
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.close(file)


def _tell(status: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        status.sendall(number.to_bytes(8, "little", signed=True))


if __name__ == "__main__":
    _main()
