"""A Slurm cluster of one node on this machine, for tests and for one's own tries.

    make cluster                           # prints how to use it, and ends it at Ctrl-C
    python tools/slurm_cluster.py --accounting

It needs Debian's packages `slurm-wlm` and `munge`, and for accounting also `slurmdbd`,
`slurm-wlm-mysql-plugin` and `mariadb-server`. All its files lie in a temporary folder, its ports
are free ones, its daemons are this user's: it neither needs nor touches a Slurm that the machine
has. As root it also works in a container.
"""

import argparse
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
OF_ACCOUNTS = ("slurmdbd", "mariadbd", "mariadb-install-db")
SQL_PLUGIN = "accounting_storage_mysql.so"
SECONDS = 60.0
_CONFIG = """\
ClusterName=own
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} CoresPerSocket={cpus} RealMemory=8000
PartitionName=main Nodes=ALL Default=YES MaxTime=7-0 PriorityTier=1 GraceTime=30
PartitionName=urgent Nodes=ALL MaxTime=7-0 PriorityTier=9
"""
_NO_ACCOUNTS = "AccountingStorageType=accounting_storage/none\n"
_ACCOUNTS = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={db_port}
AccountingStoragePass={folder}/munge.socket
MinJobAge=2
"""
_DBD = """\
DbdHost=localhost
DbdPort={db_port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StoragePort={sql_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct_db
"""


def missing_programs(*, accounting: bool = False) -> list[str]:
    """Returns the programs that are not installed, and for accounts slurmdbd's plugin."""
    needed = (*PROGRAMS, *(OF_ACCOUNTS if accounting else ()))
    missing = [name for name in needed if _program(name) is None]
    places = ("lib*/slurm*", "lib*/*/slurm*")
    has_plugin = any(any(Path("/usr").glob(f"{place}/{SQL_PLUGIN}")) for place in places)
    return [*missing, *([SQL_PLUGIN] if accounting and not has_plugin else [])]


class SlurmCluster:
    """A context in which the cluster runs.

    Attributes:
        environment: what a process must have in its environment to use it.
    """

    def __init__(self, *, cpus: int = 2, accounting: bool = False) -> None:
        """Starts nothing yet.

        Args:
            cpus: that the node is said to have.
            accounting: whether `sacct` knows of ended jobs; `squeue` soon forgets them then.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.accounting = accounting
        self._values = {
            "host": socket.gethostname(),
            "user": getpass.getuser(),
            "folder": str(self.folder),
            "cpus": str(cpus),
            "password": secrets.token_hex(8),
            **{name: str(_free_port()) for name in ("port", "node_port", "db_port", "sql_port")},
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "SlurmCluster":
        """Starts it, and returns once the node takes jobs."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Ends jobs and daemons, and removes the files."""
        self.stop()

    def run(self, *command: str) -> str:
        """Returns what one of Slurm's commands prints."""
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    def stop(self) -> None:
        """Ends the daemons, those that were started last first."""
        subprocess.run(
            ["scancel", "--quiet", "--signal=KILL", "--full", f"--user={os.getuid()}"],
            env=os.environ | self.environment,
            check=False,  # there may be no jobs, and no cluster yet
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
        self._let_jobs_end()
        for process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _let_jobs_end(self, seconds: float = 15.0) -> None:
        """Waits until no job is left, whose own daemon would outlive the others."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if not self.run("squeue", "--noheader"):
                    return
            except (OSError, subprocess.CalledProcessError):
                return  # there is no cluster yet
            time.sleep(0.2)

    def _start(self) -> None:
        folder = self.folder
        folder.chmod(0o755)  # munge asks for it
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (folder / "munge.key").chmod(0o400)
        accounts = _ACCOUNTS if self.accounting else _NO_ACCOUNTS
        text = (_CONFIG + accounts).format_map(self._values)
        (folder / "slurm.conf").write_text(text)
        munge = ("key-file=munge.key", "pid-file=munge.pid", "log-file=munge.log")
        files = [f"--{one.replace('=', f'={folder}/')}" for one in (*munge, "seed-file=seed")]
        self._spawn("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files)
        self._wait_for((folder / "munge.socket").exists, "munged")
        if self.accounting:
            self._start_accounts()
        self._spawn("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        self._spawn("slurmd", "-D", "-f", str(folder / "slurm.conf"))
        self._wait_for(self._is_idle, "the node")

    def _start_accounts(self) -> None:
        folder, values = self.folder, self._values
        data, sql_socket = folder / "sql", folder / "sql.socket"
        user = f"--user={values['user']}"
        install = [str(_program("mariadb-install-db")), "--no-defaults", f"--datadir={data}"]
        install += [user, "--auth-root-authentication-method=normal"]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        settings = [f"--datadir={data}", f"--socket={sql_socket}", f"--port={values['sql_port']}"]
        settings += ["--bind-address=127.0.0.1", f"--pid-file={folder}/sql.pid", user]
        (folder / "first.sql").write_text(
            "CREATE DATABASE slurm_acct_db;\n"
            f"CREATE USER slurm@'%' IDENTIFIED BY '{values['password']}';\n"
            f"CREATE USER slurm@localhost IDENTIFIED BY '{values['password']}';\n"
            "GRANT ALL ON slurm_acct_db.* TO slurm@'%', slurm@localhost;\n"
        )
        self._spawn("mariadbd", "--no-defaults", *settings, f"--init-file={folder}/first.sql")
        self._wait_for(sql_socket.exists, "MariaDB")
        text = _DBD.format_map(values).replace("StorageHost=localhost", "StorageHost=127.0.0.1")
        (folder / "slurmdbd.conf").write_text(text)
        (folder / "slurmdbd.conf").chmod(0o600)
        self._spawn("slurmdbd", "-D")
        self._wait_for(self._add_cluster, "slurmdbd")

    def _add_cluster(self) -> bool:
        try:
            return "own" in self.run("sacctmgr", "-i", "add", "cluster", "own")
        except subprocess.CalledProcessError:
            return False

    def _is_idle(self) -> bool:
        try:
            return "idle" in self.run("sinfo", "--noheader", "--format=%T", "--partition=main")
        except subprocess.CalledProcessError:
            return False

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                [str(_program(name)), *arguments],
                cwd=self.folder,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)

    def _wait_for(self, is_there: Callable[[], bool], name: str) -> None:
        until = time.monotonic() + SECONDS
        while not is_there():
            if time.monotonic() > until:
                outputs = [path.read_text(errors="replace")[-500:] for path in self._logs()]
                raise TimeoutError(
                    f"{name} did not start within {SECONDS:g} s:\n" + "\n".join(outputs)
                )
            time.sleep(0.2)

    def _logs(self) -> list[Path]:
        return [*sorted(self.folder.glob("*.out")), *sorted(self.folder.glob("*.log"))]


def _program(name: str) -> str | None:
    """Where a program is; daemons lie where users do not look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> int:
    """Starts a cluster, says how to use it, and ends it at Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="A Slurm cluster of one node, until Ctrl-C.")
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--accounting", action="store_true", help="with sacct (MariaDB)")
    given = parser.parse_args()
    if missing := missing_programs(accounting=given.accounting):
        more = " slurmdbd slurm-wlm-mysql-plugin mariadb-server" if given.accounting else ""
        print(f"not installed: {', '.join(missing)}: apt-get install slurm-wlm munge{more}")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with SlurmCluster(cpus=given.cpus, accounting=given.accounting) as cluster:
        print(f"in another terminal:\n  export SLURM_CONF={cluster.environment['SLURM_CONF']}")
        print("  python -m lora_sweep -m hydra/launcher=pack_slurm_cpu sweep=demo")
        print("Ctrl-C ends the cluster and its jobs", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
