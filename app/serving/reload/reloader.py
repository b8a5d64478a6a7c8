"""Reloads models in all processes of a server, one generation after another.

The process that receives a change (`SIGHUP`, a request, a watched file) applies it first. If that
succeeds, it publishes the change in the shared state, and the other processes follow.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.serving.calls.executor import Lane, Limits
from app.serving.catalog import catalog
from app.serving.catalog.fingerprint import stamp
from app.serving.catalog.model_spec import ModelSpec
from app.serving.catalog.yaml_document import read_text
from app.serving.errors import (
    InvalidCatalog,
    Mistake,
    ModelUnavailable,
    NoRoom,
    PredictionTimeout,
)
from app.serving.models.hosted import LOADERS, HostedModel
from app.serving.models.manager import ModelManager
from app.serving.models.predictor import Predictor
from app.serving.process.memory import return_memory
from app.serving.process.running_calls import crashes, ledger
from app.serving.reload.crashes import counted, forgiven, put_aside
from app.serving.reload.replacement import Changes, Succession
from app.serving.reload.shared_state import Board, Order, Wanted

log = logging.getLogger(__name__)

#: Seconds between two reads of the shared state.
LOOK_SECONDS = 0.1
#: Seconds between two marks that the shared state is in use.
KEEP_SECONDS = 3600
#: Time limit of a new process for the lock of the shared state, in seconds.
ENTER_SECONDS = 1
#: Seconds since the last write after which a watched file is assumed to be complete.
SETTLED_SECONDS = 1
#: Time limit for waiting until all processes have applied a change, in seconds.
FOLLOW_SECONDS = 10


@dataclass(frozen=True)
class Source:
    """The file that lists the models, and the limits for loading and calling them."""

    path: Path
    #: Values of ``${NAME}`` in the file.
    environ: Mapping[str, str]
    limits: Limits
    #: Seconds between two checks of the file; 0 to not watch it.
    watch_seconds: float = 0
    #: How to handle pickles without `sha256` or `trust`.
    unpinned: catalog.Unpinned = "check"

    def specs(self, text: str | None) -> list[ModelSpec]:
        """Return the entries in a text of the file.

        :raises InvalidCatalog: if the text has mistakes.
        """
        return catalog.read(self.path, self.environ, text, self.unpinned)

    def text(self) -> str | None:
        """Return the text of the file; ``None`` if it cannot be read."""
        try:
            return read_text(self.path)
        except (OSError, ValueError):
            return None

    def new_text(self) -> str | None:
        """Return the text of the file for a reload, which may remove models.

        :raises InvalidCatalog: if it is empty, as a file is at the beginning of a write.
        """
        text = self.text()
        if text is not None and not text.strip():
            detail = "is missing: the file is empty, and `models: []` is how it names none"
            raise InvalidCatalog(self.path, [Mistake(1, "models", detail)])
        return text


@dataclass(frozen=True)
class Followed:
    """Result of a change: the changes in this process, and how many processes have applied it."""

    generation: int
    following: int
    processes: int
    changes: Changes = field(default_factory=Changes)
    #: Whether this process has applied the change; if not, it continues in the background.
    is_done: bool = True


class Generations:
    """Brings the models of this process to the desired state. Thread safe."""

    def __init__(self, source: Source, board: Board, predictor: Predictor) -> None:
        self._source = source
        self._board = board
        self._predictor = predictor
        self._before_fork = False
        self._now = Wanted()
        # Held while the models of this process change, and while the process forks.
        self._lock = threading.RLock()
        self._lane = Lane(replace(source.limits, threads=1, waiting=LOADERS))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Places of the mistakes for which a later ``models.yaml`` was rejected."""
        return self._board.read().mistakes

    def open(self, *, before_fork: bool = False) -> None:
        """Load the models of the desired state: initially, those of ``models.yaml``.

        :param before_fork: see :meth:`HostedModel.prepare`.
        :raises InvalidCatalog: if ``models.yaml`` has mistakes.
        """
        self._before_fork = before_fork
        source = self._source
        wanted = self._board.read() if before_fork else self._entered()
        text = source.text() if wanted.text is None else wanted.text
        specs = source.specs(text)
        ModelManager().open(
            specs, source.limits, source.path, before_fork=before_fork, aside=wanted.aside
        )
        for label, (_, order) in wanted.orders.items():
            self._obey(label, order)
        self._now = replace(wanted, text=text)
        if self._board.is_shared:
            self._show(text)
            return_memory()
            # All present objects stay. To collect garbage among them would take time, and memory
            # too: it writes to every object, and processes stop sharing pages that are written to.
            gc.freeze()

    def start(self) -> None:
        """Start a thread that follows the desired state."""
        if self._before_fork:
            self._hold_forks()
        threading.Thread(target=self._follow, name="generations", daemon=True).start()

    def start_in_worker(self) -> None:
        """Apply the desired state in a worker that will serve requests, and follow it."""
        self._before_fork = False
        self._entered()
        self.catch_up()
        self.start()

    def catch_up(self) -> None:
        """Apply the desired state to this process if it has changed."""
        with self._lock:
            wanted = self._board.read()
            if wanted.generation > self._now.generation:
                try:
                    self._become(wanted)
                except InvalidCatalog as error:
                    # The process that published this state found no mistake.
                    log.error("the models stay as they were: %s", error)
                    self._now = wanted
            if not self._before_fork:
                self._board.report(wanted.generation)

    def reload(self) -> Followed:
        """Read ``models.yaml`` again, and apply it in all processes.

        :raises InvalidCatalog: if it has mistakes. Then nothing changes.
        """
        return self._within_limits(self._reload)

    def reload_model(self, name: str) -> Followed:
        """Reload one model in all processes, with its entry as last read.

        :raises ModelNotFound: if there is no such model.
        """
        return self._within_limits(self._reload_model, ModelManager().get(name).label)

    def load(self, name: str) -> Followed:
        """Load a model in all processes.

        :raises ModelNotFound: if there is no such model.
        :raises ModelUnavailable: if it cannot be loaded in this process.
        """
        model, failure = ModelManager().get(name), None
        with self._changed(model.label, "load"):
            try:
                model.load()
            except ModelUnavailable as error:
                failure = error
        return_memory()
        followed = self._followed()
        if failure is not None:
            raise failure
        return followed

    def unload(self, name: str) -> Followed:
        """Unload a model in all processes, see :meth:`HostedModel.unload`.

        :raises ModelNotFound: if there is no such model.
        :raises ModelUnavailable: if it is still loading after the time limit of a call.
        """
        model = ModelManager().get(name)
        with self._changed(model.label, "unload"):
            model.unload()
        return_memory()
        return self._followed()

    def _entered(self) -> Wanted:
        """Return the desired state after counting crashes and registering this process."""
        folder = self._board.folder
        if folder is None:
            return self._board.read()
        try:
            with self._board.changing(ENTER_SECONDS) as before:
                wanted = counted(before, crashes(folder), self._source.limits, time.time())
                if wanted is not before:
                    self._board.write(wanted)
        except TimeoutError:
            # The lock is held by a reload; the next worker to start counts the crashes.
            wanted = self._board.read()
        except NoRoom as error:
            log.error("processes that have died are not counted: %s", error)
            wanted = self._board.read()
        try:
            ledger.open(folder)
        except OSError as error:
            log.error("crashes of this process will not be counted: %s", error.strerror)
        return wanted

    def _show(self, text: str | None) -> None:
        """Publish the text of the file, so that a process that replaces this one reads the same."""
        try:
            with self._board.changing() as wanted:
                if wanted.text is None:
                    self._board.write(replace(wanted, text=text, seen=self._seen()))
        except NoRoom as error:
            log.error("later processes read %s anew: %s", self._source.path.name, error)

    @contextmanager
    def _changed(self, label: str, order: Order) -> Iterator[Wanted]:
        """Publish an order for a model after the block has carried it out in this process."""
        with self._board.changing() as before, self._lock:
            self.catch_up()
            generation = before.generation + 1
            orders = {**before.orders, label: (generation, order)}
            wanted = replace(before, generation=generation, orders=orders, text=self._now.text)
            model = _labelled(label)
            wanted = forgiven(wanted, model.suspect.fingerprint) if model else wanted
            yield wanted
            self._now = wanted
            self._board.write(wanted)
            self._board.report(generation)

    def _within_limits(self, change: Callable[..., Changes], *arguments: str) -> Followed:
        # In a separate thread: a model that hangs while loading must not block a request.
        try:
            return self._followed(self._lane.run(change, *arguments))
        except PredictionTimeout:
            now = self._now.generation
            return Followed(now, *self._board.followers(now + 1), is_done=False)

    def _followed(self, changes: Changes | None = None) -> Followed:
        now = self._now.generation
        following = self._board.await_followers(now, FOLLOW_SECONDS)
        return Followed(now, *following, changes or Changes())

    def _reload(self) -> Changes:
        with self._board.changing() as wanted:
            return self._reread(wanted)

    def _reload_model(self, label: str) -> Changes:
        with self._changed(label, "reload") as wanted:
            changes = self._become(wanted)
        return replace(changes, unchanged=[])

    def _reread(self, before: Wanted) -> Changes:
        source, seen = self._source, self._seen()
        with self._lock:
            self.catch_up()
            # Mark the file as read first: no process reads it again, even if this one crashes.
            before = replace(before, text=self._now.text, seen=seen)
            self._board.write(before)
            generation = before.generation + 1
            log.info("%s is read again", source.path.name)
            try:
                text = source.new_text()
                new = replace(before, generation=generation, read=generation, text=text)
                changes = self._become(replace(new, mistakes=()))
            except InvalidCatalog as error:
                log.error("the models stay as they were:\n%s", error)
                self._board.write(replace(before, mistakes=tuple(error.places)))
                raise
            models = ModelManager().models()
            labels = {model.label for model in models}
            orders = {label: order for label, order in new.orders.items() if label in labels}
            held = {model.suspect.fingerprint for model in models}
            aside = {key: each for key, each in new.aside.items() if key in held}
            self._board.write(replace(new, orders=orders, aside=aside, mistakes=()))
            self._board.report(generation)
        loaded, removed = (", ".join(each) or "none" for each in (changes.loaded, changes.removed))
        log.info("generation %d: loaded %s, removed %s", generation, loaded, removed)
        return changes

    def _become(self, wanted: Wanted) -> Changes:
        """Apply a desired state to this process.

        :raises InvalidCatalog: if ``models.yaml`` has mistakes. Then nothing changes.
        """
        source, since = self._source, self._now.generation
        new = {label: order for label, (at, order) in wanted.orders.items() if at > since}
        anew = [label for label, order in new.items() if order == "reload"]
        changes = Changes()
        if anew or wanted.read > since:
            specs = source.specs(wanted.text)
            trial = self._predictor.try_out
            succession = Succession(source.path, source.limits, trial, self._before_fork)
            changes = succession.to(specs, anew, with_failed=wanted.read > since)
        for model in ModelManager().models():
            known = wanted.aside.get(model.suspect.fingerprint)
            if known and known.generation > since and not model.is_aside:
                model.set_aside(known.reason)
        made = {label: "unload" for label in changes.loaded if _is_out(wanted, label)}
        for label, order in (made | new).items():
            self._obey(label, order)
        self._now = wanted
        return changes

    def _obey(self, label: str, order: str) -> None:
        model = _labelled(label)
        if model is None or order == "reload":
            return
        try:
            if order == "unload":
                model.unload()
            elif self._before_fork:
                model.prepare(before_fork=True)
            else:
                model.load()
            return_memory()
        except ModelUnavailable as error:
            log.error("cannot %s: %s", order, error)

    def _follow(self) -> None:
        look, watched = threading.Event(), time.monotonic()
        kept, trouble = watched, ""
        while not look.wait(LOOK_SECONDS):
            is_due = 0 < self._source.watch_seconds <= time.monotonic() - watched
            watched = time.monotonic() if is_due else watched
            try:
                if time.monotonic() - kept > KEEP_SECONDS:
                    kept = time.monotonic()
                    self._board.keep()
                self.catch_up()
                if not self._before_fork:
                    ModelManager().tell_states()
                    self._tell_aside()
                    self._heed(is_due)
            except InvalidCatalog:
                continue  # already logged, and published in the shared state
            except (NoRoom, OSError) as error:
                # Log it once, not ten times a second.
                if str(error) != trouble:
                    trouble = str(error)
                    log.error("cannot follow: %s", trouble)
            # The thread must continue: without it, the process would never follow again.
            except Exception:
                log.exception("cannot follow")

    def _heed(self, is_due: bool) -> None:
        """Reload after a SIGHUP, or if a check is due and the file has changed."""
        if not self._is_asked(self._board.read(), is_due):
            return
        with self._board.changing() as wanted:
            # Another process may have reloaded meanwhile.
            if self._is_asked(wanted, is_due):
                self._reread(wanted)

    def _tell_aside(self) -> None:
        """Publish the models that only this process has quarantined."""
        known = self._board.read().aside
        new = [
            model
            for model in ModelManager().models()
            if model.is_aside and model.suspect.fingerprint not in known
        ]
        if not new or not self._board.is_shared:
            return
        with self._board.changing() as before, self._lock:
            self.catch_up()
            wanted = before
            for model in new:
                # An operator may have loaded it meanwhile.
                if model.is_aside:
                    wanted = put_aside(wanted, model.suspect, model.reason or "")
            self._now = wanted
            self._board.write(wanted)
            self._board.report(wanted.generation)

    def _is_asked(self, wanted: Wanted, is_due: bool) -> bool:
        file, hang_up = wanted.seen
        if self._board.hang_up != hang_up:
            return True
        if not is_due:
            return False
        now = stamp(self._source.path)
        # A file that was just written may be incomplete.
        is_settled = not now or not 0 <= time.time() - now[0] / 1e9 < SETTLED_SECONDS
        return now != file and is_settled

    def _seen(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return stamp(self._source.path), self._board.hang_up

    def _hold_forks(self) -> None:
        """Block forks while the models change, since a child would inherit them half changed."""
        owner = os.getpid()

        def free() -> None:
            self._lock = threading.RLock()

        def hold() -> None:
            if os.getpid() == owner:
                self._lock.acquire()

        def release() -> None:
            if os.getpid() == owner:
                self._lock.release()

        os.register_at_fork(before=hold, after_in_parent=release, after_in_child=free)


def _labelled(label: str) -> HostedModel | None:
    return next((each for each in ModelManager().models() if each.label == label), None)


def _is_out(wanted: Wanted, label: str) -> bool:
    return label in wanted.orders and wanted.orders[label][1] == "unload"
