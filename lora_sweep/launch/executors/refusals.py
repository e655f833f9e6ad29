"""What Slurm refuses -> the setting that asked for it."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lora_sweep import slurm

_PLACE = "hydra.launcher.submitit.parameters"
_NONE = "null asks for none, as hydra/launcher=pack_slurm_cpu does"
_SIZE = (
    "cpus_per_task, mem_gb, gpus_per_node and nodes must be what a node of the partition has "
    "(sinfo -o '%P %c %m %G')"
)


class _Refusal(NamedTuple):
    """A message of Slurm's, and what is wrong."""

    pattern: str
    setting: str
    rule: str


_REFUSALS = (
    _Refusal(r"\bgres\b", "gpus_per_node", f"what the cluster's nodes have, {_NONE}"),
    _Refusal(r"invalid partition", "slurm_partition", "a partition of the cluster"),
    _Refusal(r"Memory (specification|required)", "mem_gb", "at most what a node has"),
    _Refusal(r"CPU count", "cpus_per_task", "at most what a node has"),
    _Refusal(r"Invalid account", "slurm_account", "an account of yours (sacctmgr show assoc)"),
    _Refusal(r"Invalid qos", "slurm_qos", "a quality of service that you may use"),
    _Refusal(r"Invalid feature", "slurm_constraint", "a feature of the cluster's nodes"),
    _Refusal(r"time limit", "timeout_min", "within the partition's limit (sinfo -o '%P %l')"),
    _Refusal(r"array", "slurm_array_parallelism", "what the cluster takes of job arrays"),
)
_AWAY = re.compile(
    r"Unable to contact|Socket timed out|Connection refused|temporarily|Zero Bytes|"
    r"slurm_persist_conn|Unexpected message|try again",
    re.IGNORECASE,
)
_NEVER = {
    "PartitionConfig": _SIZE,
    "PartitionNodeLimit": _SIZE,
    "BadConstraints": _SIZE,
    "PartitionTimeLimit": "timeout_min must be within the partition's limit (sinfo -o '%P %l')",
}
"""Reasons of jobs that Slurm takes, but never starts."""


def refusal(said: str, parameters: Mapping[str, Any]) -> str:
    """Returns one line: which setting must be what, its value, and Slurm's own words.

    Args:
        said: what `sbatch` printed.
        parameters: that submitit was given.
    """
    words = _own_words(said)
    for one in _REFUSALS:
        if re.search(one.pattern, said, re.IGNORECASE):
            known = slurm.partitions() if one.setting == "slurm_partition" else []
            names = f" ({', '.join(known)})" if known else ""
            value = parameters.get(one.setting)
            return f"{_PLACE}.{one.setting} must be {one.rule}{names}, but got {value}: {words}"
    if "node configuration" in said:
        return f"{_PLACE}: {_SIZE}, but got {dict(parameters)}: {words}"
    return f"{_PLACE} must be what the cluster's sbatch takes, but got: {words}"


def is_away(said: str) -> bool:
    """Returns whether the cluster did not answer, where another try may help.

    Args:
        said: what `sbatch` printed.
    """
    return _AWAY.search(said) is not None


def never_starts(reason: str) -> str | None:
    """Returns what must be changed if Slurm will never start a job that waits for this reason.

    Args:
        reason: in Slurm's word, as `squeue` has it; None is returned for all others.
    """
    rule = _NEVER.get(reason)
    return None if rule is None else f"{_PLACE}: {rule}, but Slurm says {reason}"


def _own_words(said: str) -> str:
    """The first line of sbatch itself, without the traceback around it."""
    lines = [line.strip() for line in said.splitlines() if "error:" in line]
    first = next((line for line in lines if line.startswith("sbatch:")), said.strip()[-200:])
    return first.removeprefix("sbatch: error: ")
