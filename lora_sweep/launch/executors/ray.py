"""The executor `ray`: packs as tasks on a Ray cluster, which may be this machine alone."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lora_sweep.errors import (
    SettingError,
    TrainingFailedError,
    WorkerDiedError,
    WorkersAwayError,
)
from lora_sweep.execution.protocols import Handle, PackEnd, Task
from lora_sweep.interrupt import handlers_kept
from lora_sweep.rules import is_positive, is_rate, require

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Between two looks at the nodes."""
NODE_LIST_SECONDS = 60.0
"""After its end a node may be listed for so long: Ray's health checks take half a minute."""


class RayExecutor:
    """A cluster's workers.

    Attributes:
        capacity: packs that the cluster has room for, or the bound that was given.
    """

    def __init__(
        self,
        *,
        address: str,
        cpus_per_pack: float,
        gpus_per_pack: float,
        max_packs: int | None,
        init: Mapping[str, Any],
    ) -> None:
        """Joins the cluster, or starts one here.

        Args:
            address: `local` starts a cluster here, `auto` joins the one of this machine,
                `ray://HOST:10001` one elsewhere.
            cpus_per_pack: cores that a pack takes, above 0.
            gpus_per_pack: GPUs that a pack takes; 0.5 puts two packs on one.
            max_packs: packs handed out at once; None for what the cluster has room for now.
            init: more for `ray.init`.

        Raises:
            SettingError: a setting breaks its rule, or the cluster is not there or too small.
        """
        place = "hydra.launcher.ray"
        is_number = is_positive(cpus_per_pack)
        require(is_number, f"{place}.cpus_per_pack", "above 0 and finite", cpus_per_pack)
        is_share = is_rate(gpus_per_pack)
        require(is_share, f"{place}.gpus_per_pack", "at least 0 and finite", gpus_per_pack)
        is_bound = max_packs is None or (isinstance(max_packs, int) and max_packs >= 1)
        require(is_bound, f"{place}.max_packs", "null, or an integer of at least 1", max_packs)
        self.of_a_pack = {"CPU": cpus_per_pack, "GPU": gpus_per_pack}
        room = _room(_join(address, init), self.of_a_pack)
        self.capacity, self.grows = max_packs or room, max_packs is not None
        import ray

        # A dead worker's pack is queued again where it can be told of: not by Ray.
        self.remote = ray.remote(num_cpus=cpus_per_pack, num_gpus=gpus_per_pack, max_retries=0)(
            _train
        )
        self.references: list[Any] = []

    def submit(self, tasks: Sequence[Task]) -> list[Handle]:
        """Sends the tasks to the cluster, which starts each where there is room.

        Raises:
            WorkersAwayError: no node is left that could hold one; Ray would wait for ever.
        """
        import ray

        if (gone := self._gone()) is not None:
            raise gone

        if self.references:
            _, self.references = ray.wait(
                self.references, num_returns=len(self.references), timeout=0
            )
        sent = [self.remote.remote(task) for task in tasks]
        self.references += sent
        return [_Sent(reference, self._gone) for reference in sent]

    def resume(self, pack: str) -> None:
        """Returns None: Ray ends the tasks of a command with it."""

    def _gone(self) -> WorkersAwayError | None:
        """What is missing, where the nodes that are left can't hold a pack; None if they can.

        A cluster that grows on demand, as `max_packs` says, is left to start nodes.
        """
        if self.grows:
            return None
        import ray

        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        alive = [node for node in nodes if node["Alive"]]
        if any(_fits(node["Resources"], self.of_a_pack) for node in alive):
            return None
        return WorkersAwayError(
            f"no node of the Ray cluster is left that holds a pack ({len(alive)} of {len(nodes)} "
            "nodes are there)"
        )

    def stop(self) -> None:
        """Asks all workers to save and stop, and returns when they have."""
        import ray

        try:
            for reference in self.references:
                ray.cancel(reference)
            if self.references:
                ray.wait(self.references, num_returns=len(self.references))
        except KeyboardInterrupt:
            for reference in self.references:
                ray.cancel(reference, force=True)
            raise
        finally:
            self.references = []


class _Sent:
    """A task that the cluster has."""

    def __init__(self, reference: Any, gone: Callable[[], WorkersAwayError | None]) -> None:
        self.reference, self.gone = reference, gone
        self._lost_at: float | None = None
        self._next_look = time.monotonic() + LOOK_SECONDS

    def end(self) -> PackEnd | None:
        import ray
        from ray.exceptions import NodeDiedError, RayError, RayTaskError

        ready, _ = ray.wait([self.reference], timeout=0)
        if not ready:
            self._check_nodes()
            return None
        try:
            end: PackEnd = ray.get(self.reference)
            return end
        except RayTaskError as error:  # it raised: the package is missing there, say
            return PackEnd(TrainingFailedError(str(error.cause)))
        except RayError as error:
            if (gone := self.gone()) is not None:
                raise gone from error
            # A task is told of its node's end before the list of nodes is.
            now = time.monotonic()
            self._lost_at = self._lost_at or now
            is_listed = isinstance(error, NodeDiedError) and _is_listed(str(error))
            if is_listed and now - self._lost_at < NODE_LIST_SECONDS:
                return None
            raise WorkerDiedError(_words(error)) from error

    def _check_nodes(self) -> None:
        """Checks now and then that a node is left; without one Ray lets a task wait for ever."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        if (gone := self.gone()) is not None:
            self.drop()
            raise gone

    def is_started(self) -> bool:
        return False  # Ray tells of dead workers

    def drop(self) -> str:
        import ray

        ray.cancel(self.reference, force=True)
        return "a task of Ray's"


def _fits(found: Mapping[str, float], of_a_pack: Mapping[str, float]) -> bool:
    """Whether a node has room for a pack, once nothing else runs there."""
    return all(found.get(kind, 0) >= amount for kind, amount in of_a_pack.items())


def _is_listed(said: str) -> bool:
    """Whether the node whose end an error tells of is still listed as one that is there."""
    import ray

    told = re.search(r"node ID: (\w+)", said)
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["NodeID"] for node in nodes if node["Alive"]]
    return told is not None and told.group(1) in alive


def _words(error: Exception) -> str:
    """How a worker ended, without the paragraph in which Ray says it."""
    known = {"NodeDiedError": "its node is gone", "WorkerCrashedError": "its process is gone"}
    name = type(error).__name__
    return known.get(name, name)


def _train(task: Task) -> PackEnd:
    """What a worker runs."""
    return task()


def _join(address: str, init: Mapping[str, Any]) -> dict[str, float]:
    """Joins a cluster, and returns its resources, name -> amount.

    Raises:
        SettingError: it is not there.
    """
    import ray

    try:
        if not ray.is_initialized():
            own = {"include_dashboard": False} if address == "local" else {}
            with handlers_kept():
                # What Ray has to say of nodes and workers stands in its own log.
                quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
                asked = quiet | own | dict(init)
                if not asked["log_to_driver"]:
                    _keep_raylets_quiet()
                ray.init(address=address, **asked)
        return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise SettingError(
            f"hydra.launcher.ray.address must be that of a running cluster, or local, but got "
            f"{address}: {reason}"
        ) from error


def _keep_raylets_quiet() -> None:
    """Keeps paragraphs of dead raylets from standard output; Ray has no setting for that."""
    from ray._private import worker

    def note(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        log.debug("%s", "\n".join(map(str, data.get("lines", ()))))

    worker.print_to_stdstream = note


def _room(found: Mapping[str, float], of_a_pack: Mapping[str, float]) -> int:
    """Packs that a cluster has room for, at least 1.

    Raises:
        SettingError: not even one; Ray would wait for ever.
    """
    for kind, amount in of_a_pack.items():
        name = f"hydra.launcher.ray.{kind.lower()}s_per_pack"
        rule = f"at most the cluster's {found.get(kind, 0):g} {kind}s"
        require(amount <= found.get(kind, 0), name, rule, amount)
    return int(min(found[kind] // amount for kind, amount in of_a_pack.items() if amount))
