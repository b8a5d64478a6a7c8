"""Reloads models in all processes of a server, one generation after another.

The process that receives a change (``SIGHUP``, a request, a watched file) applies it first. If
that succeeds, it publishes the change in the shared state, and the other processes follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.serving.calls.executor import BoundedExecutor
from app.serving.errors import ModelUnavailable, PredictionTimeout
from app.serving.models.load_attempts import LOADERS
from app.serving.models.manager import ModelManager
from app.serving.reload.checker import Checker
from app.serving.reload.crashes import register_process
from app.serving.reload.follower import Follower
from app.serving.reload.local_models import LocalModels, block_forks
from app.serving.reload.models_file import ModelsFile
from app.serving.reload.publisher import Publisher
from app.serving.reload.replacement import Changes
from app.serving.reload.shared_state import DesiredState, SharedState

#: Time limit for waiting until all processes have applied a change, in seconds.
FOLLOW_SECONDS = 10


@dataclass(frozen=True)
class ReloadResult:
    """Result of a change: the changes in this process, and how many processes have applied it."""

    generation: int
    following: int
    processes: int
    changes: Changes = field(default_factory=Changes)
    #: Whether this process has applied the change; if not, it continues in the background.
    is_done: bool = True


class Reloader:
    """Changes the models in all processes of a server. Thread safe. See :class:`.Publisher`."""

    def __init__(self, file: ModelsFile, shared: SharedState, manager: ModelManager) -> None:
        self._file = file
        self._shared = shared
        self._manager = manager
        self._local = LocalModels(file, shared, manager)
        self._publisher = Publisher(self._local)
        self._executor = BoundedExecutor(replace(file.limits, threads=1, queue_size=LOADERS))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Places of the mistakes for which a later ``models.yaml`` was rejected."""
        return self._shared.read().mistakes

    def load_models(self, *, before_fork: bool = False) -> None:
        """Load the models of the desired state: initially, those of ``models.yaml``.

        :param before_fork: see :meth:`.Lifecycle.load_or_describe`.
        :raises InvalidCatalog: if ``models.yaml`` has mistakes.
        """
        desired = self._shared.read() if before_fork else self._register()
        self._local.load(desired, before_fork=before_fork)

    def start(self) -> None:
        """Start a thread that follows the desired state."""
        if self._local.before_fork:
            block_forks(self._local)
        Follower(self._local, self._publisher.reread).start()
        if not self._local.before_fork:
            Checker(self._manager, self._publisher.reload_if_changed).start()

    def start_in_worker(self) -> None:
        """Apply the desired state in a worker that will serve requests, and follow it."""
        self._local.before_fork = False
        self._register()
        self._local.catch_up()
        self.start()

    def reload(self) -> ReloadResult:
        """Read ``models.yaml`` again, and apply it in all processes.

        :raises InvalidCatalog: if it has mistakes. Then nothing changes.
        """
        return self._run_in_time(self._publisher.reload)

    def reload_model(self, name: str) -> ReloadResult:
        """Reload one model in all processes, with its entry as last read.

        :raises ModelNotFound: if there is no such model.
        """
        return self._run_in_time(self._publisher.reload_model, self._manager.get(name).unique_name)

    def load(self, name: str) -> ReloadResult:
        """Load a model in all processes.

        :raises ModelNotFound: if there is no such model.
        :raises ModelUnavailable: if it cannot be loaded in this process.
        """
        return self._run_in_time(self._publisher.load, self._manager.get(name).unique_name)

    def unload(self, name: str) -> ReloadResult:
        """Unload a model in all processes, see :meth:`.Lifecycle.unload`.

        While the model loads, the result is not done after the time limit of a call, and the
        model is unloaded later.

        :raises ModelNotFound: if there is no such model.
        """
        return self._run_in_time(self._publisher.unload, self._manager.get(name).unique_name)

    def _register(self) -> DesiredState:
        return register_process(self._shared, self._file.limits)

    def _run_in_time(self, change: Callable[..., Changes], *arguments: str) -> ReloadResult:
        # In a separate thread: a model that hangs while loading must not block a request.
        try:
            return self._await_followers(self._executor.run(change, *arguments))
        except ModelUnavailable:
            self._await_followers(Changes())  # they load the model too
            raise
        except PredictionTimeout:
            now = self._local.applied.generation
            return ReloadResult(now, *self._shared.count_followers(now + 1), is_done=False)

    def _await_followers(self, changes: Changes) -> ReloadResult:
        now = self._local.applied.generation
        counts = self._shared.await_followers(now, FOLLOW_SECONDS)
        return ReloadResult(now, *counts, changes)
