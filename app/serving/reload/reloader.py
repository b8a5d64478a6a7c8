"""One generation of models after another, in all processes of a server.

Whoever is told of a change (`SIGHUP`, a request, a watched file) makes it in its own process first.
If that goes well it shows the change on the board, and the other processes follow.
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

#: Seconds between two looks at the board.
LOOK_SECONDS = 0.1
#: Seconds after which the board is marked as in use again.
KEEP_SECONDS = 3600
#: Seconds for which a new process waits for those who change what is wanted.
ENTER_SECONDS = 1
#: Seconds since a watched file was written, after which it is taken to be whole.
SETTLED_SECONDS = 1
#: Seconds for which whoever has made a change waits until all processes have followed.
FOLLOW_SECONDS = 10


@dataclass(frozen=True)
class Source:
    """Where the models come from, and how much is done at once."""

    path: Path
    #: What ``${NAME}`` in the file stands for.
    environ: Mapping[str, str]
    limits: Limits
    #: Seconds between two looks at the file; 0 if nobody looks.
    watch_seconds: float = 0
    #: What becomes of pickles without `sha256` or `trust`.
    unpinned: catalog.Unpinned = "check"

    def specs(self, text: str | None) -> list[catalog.ModelSpec]:
        """Return the entries of a text of the file.

        :raises InvalidCatalog: if it has mistakes.
        """
        return catalog.read(self.path, self.environ, text, self.unpinned)

    def text(self) -> str | None:
        """Return what stands in the file; nothing if it cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def new_text(self) -> str | None:
        """Return the same, where models answer that it may take away.

        :raises InvalidCatalog: if it is empty, as a file is that somebody begins to write.
        """
        text = self.text()
        if text is not None and not text.strip():
            detail = "is missing: the file is empty, and `models: []` is how it names none"
            raise InvalidCatalog(self.path, [Mistake(1, "models", detail)])
        return text


@dataclass(frozen=True)
class Followed:
    """A change: what became of the models here, and how many processes have it by now."""

    generation: int
    following: int
    processes: int
    changes: Changes = field(default_factory=Changes)
    #: Whether it is made in this process. If not, that goes on.
    is_done: bool = True


class Generations:
    """Lets this process have the models that are wanted. Any thread may call any method."""

    def __init__(self, source: Source, board: Board, predictor: Predictor) -> None:
        self._source = source
        self._board = board
        self._predictor = predictor
        self._before_fork = False
        self._now = Wanted()
        # Held while the models of this process change, and while it forks.
        self._lock = threading.RLock()
        self._lane = Lane(replace(source.limits, threads=1, waiting=LOADERS))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Where the mistakes are for which a later ``models.yaml`` was refused."""
        return self._board.read().mistakes

    def open(self, *, before_fork: bool = False) -> None:
        """Hold the models that are wanted: at first, those of ``models.yaml``.

        :param before_fork: see :meth:`HostedModel.prepare`.
        :raises InvalidCatalog: if it has mistakes.
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
            # All there is by now stays. To look for what could go would take time, and memory too:
            # it writes to every object, and what is written to is shared with no other process.
            gc.freeze()

    def start(self) -> None:
        """Follow what is wanted from now on, in a thread of its own."""
        if self._before_fork:
            self._hold_forks()
        threading.Thread(target=self._follow, name="generations", daemon=True).start()

    def start_in_worker(self) -> None:
        """Catch up with what is wanted, in a process that is to take requests, and follow it."""
        self._before_fork = False
        self._entered()
        self.catch_up()
        self.start()

    def catch_up(self) -> None:
        """Let this process have the models that are wanted."""
        with self._lock:
            wanted = self._board.read()
            if wanted.generation > self._now.generation:
                try:
                    self._become(wanted)
                except InvalidCatalog as error:
                    # In the process that showed it, it was none.
                    log.error("the models stay as they were: %s", error)
                    self._now = wanted
            if not self._before_fork:
                self._board.report(wanted.generation)

    def reload(self) -> Followed:
        """Read ``models.yaml`` again, and let all processes have its models.

        :raises InvalidCatalog: if it has mistakes. Then nothing changes.
        """
        return self._within_limits(self._reload)

    def reload_model(self, name: str) -> Followed:
        """Make one model again, of its entry as it was last read, and let all processes do so.

        :raises ModelNotFound: if there is none.
        """
        return self._within_limits(self._reload_model, ModelManager().get(name).label)

    def load(self, name: str) -> Followed:
        """Load a model in all processes.

        :raises ModelNotFound: if there is none.
        :raises ModelUnavailable: if it cannot be loaded in this one.
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
        """Take a model out in all processes, see :meth:`HostedModel.unload`.

        :raises ModelNotFound: if there is none.
        :raises ModelUnavailable: if it is being loaded, and that takes longer.
        """
        model = ModelManager().get(name)
        with self._changed(model.label, "unload"):
            model.unload()
        return_memory()
        return self._followed()

    def _entered(self) -> Wanted:
        """Return what is wanted, when the processes that have died are counted, and this one is."""
        folder = self._board.folder
        if folder is None:
            return self._board.read()
        try:
            with self._board.changing(ENTER_SECONDS) as before:
                wanted = counted(before, crashes(folder), self._source.limits, time.time())
                if wanted is not before:
                    self._board.write(wanted)
        except TimeoutError:
            # Somebody loads models: whoever comes next counts those that have died.
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
        """Let a process that takes the place of this one find what stands in the file now."""
        try:
            with self._board.changing() as wanted:
                if wanted.text is None:
                    self._board.write(replace(wanted, text=text, seen=self._seen()))
        except NoRoom as error:
            log.error("later processes read %s anew: %s", self._source.path.name, error)

    @contextmanager
    def _changed(self, label: str, order: Order) -> Iterator[Wanted]:
        """Show an order for a model, when it was carried out here."""
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
        # In a thread of its own: a model that hangs while it is loaded must not keep a request.
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
            # Whatever comes of it, nobody does it again: not even if it ends this process.
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
        """Let this process have the models of a generation.

        :raises InvalidCatalog: if ``models.yaml`` has mistakes. Then nothing has changed.
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
                continue  # that is logged, and shown on the board
            except (NoRoom, OSError) as error:
                # Once, not ten times a second.
                if str(error) != trouble:
                    trouble = str(error)
                    log.error("cannot follow: %s", trouble)
            # It must go on: without it, the process would never follow again.
            except Exception:
                log.exception("cannot follow")

    def _heed(self, is_due: bool) -> None:
        """Reload if the server was told to, or if it is time to look and the file has changed."""
        if not self._is_asked(self._board.read(), is_due):
            return
        with self._board.changing() as wanted:
            # Another process may have done it meanwhile.
            if self._is_asked(wanted, is_due):
                self._reread(wanted)

    def _tell_aside(self) -> None:
        """Let the others set aside what was set aside in this process alone."""
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
                # It may have been loaded again meanwhile.
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
        # One that is just written may not be there to its end.
        is_settled = not now or not 0 <= time.time() - now[0] / 1e9 < SETTLED_SECONDS
        return now != file and is_settled

    def _seen(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return stamp(self._source.path), self._board.hang_up

    def _hold_forks(self) -> None:
        """Let no process be forked while the models change: it would find them half changed."""
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
