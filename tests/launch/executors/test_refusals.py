"""What Slurm says -> the setting to change. The messages are those of Slurm 22.05."""

import pytest

from lora_sweep import slurm
from lora_sweep.launch.executors.refusals import is_away, never_starts, refusal

PARAMETERS = {"gpus_per_node": 1, "slurm_partition": "gpu", "mem_gb": 900, "cpus_per_task": 64}
FAILED = "sbatch: error: Batch job submission failed: "


@pytest.fixture(autouse=True)
def partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "partitions", lambda: ["long", "main"])


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "sbatch: error: Invalid generic resource (gres) specification",
            "gpus_per_node must be what the cluster's nodes have, null asks for none, as "
            "hydra/launcher=pack_slurm_cpu does, but got 1: Invalid generic resource (gres) "
            "specification",
        ),
        (
            "sbatch: error: invalid partition specified: gpu\n"
            f"{FAILED}Invalid partition name specified",
            "slurm_partition must be a partition of the cluster (long, main), but got gpu: "
            "invalid partition specified: gpu",
        ),
        (
            "sbatch: error: Memory specification can not be satisfied\n"
            f"{FAILED}Requested node configuration is not available",
            "mem_gb must be at most what a node has, but got 900: "
            "Memory specification can not be satisfied",
        ),
        (
            "sbatch: error: CPU count per node can not be satisfied\n"
            f"{FAILED}Requested node configuration is not available",
            "cpus_per_task must be at most what a node has, but got 64: "
            "CPU count per node can not be satisfied",
        ),
        (
            f"{FAILED}Invalid account or account/partition combination specified",
            "slurm_account must be an account of yours (sacctmgr show assoc), but got None: "
            "Batch job submission failed: Invalid account or account/partition combination "
            "specified",
        ),
        (
            f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)",
            "timeout_min must be within the partition's limit (sinfo -o '%P %l'), but got None: "
            "Batch job submission failed: Requested time limit is invalid (missing or exceeds "
            "some limit)",
        ),
    ],
    ids=["gpu", "partition", "memory", "cores", "account", "time"],
)
def test_refusal_names_the_setting(said: str, line: str) -> None:
    assert refusal(said, PARAMETERS) == f"hydra.launcher.submitit.parameters.{line}"


def test_refusal_of_another_kind_keeps_slurms_words() -> None:
    line = refusal(f"{FAILED}Requested reservation is invalid", PARAMETERS)
    assert line.endswith("but got: Batch job submission failed: Requested reservation is invalid")
    line = refusal(f"{FAILED}Requested node configuration is not available", PARAMETERS)
    assert "cpus_per_task, mem_gb, gpus_per_node and nodes must be what a node" in line


@pytest.mark.parametrize(
    ("said", "away"),
    [
        (f"{FAILED}Unable to contact slurm controller (connect failure)", True),
        (f"{FAILED}Socket timed out on send/recv operation", True),
        (f"{FAILED}Invalid partition name specified", False),
    ],
)
def test_controller_that_does_not_answer_is_no_refusal(said: str, *, away: bool) -> None:
    assert is_away(said) == away


@pytest.mark.parametrize(
    ("reason", "setting"),
    [("PartitionTimeLimit", "timeout_min"), ("PartitionConfig", "cpus_per_task")],
)
def test_job_that_never_starts_names_the_setting(reason: str, setting: str) -> None:
    assert setting in str(never_starts(reason))


@pytest.mark.parametrize("reason", ["Resources", "Priority", "BeginTime", "None"])
def test_job_that_only_waits_is_no_error(reason: str) -> None:
    assert never_starts(reason) is None
