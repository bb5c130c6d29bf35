"""Waiting for work that may never end, as a drive may hang.

Work hangs if it shows no sign of life within a deadline (see ``source.pulse``), however
long it takes as a whole. A thread that hangs cannot be stopped. It is left behind, and
ends by itself if the medium answers after all.
"""

import errno
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from dicomfs.media.medium import EntryType, Place
from dicomfs.media.walk import Lister
from dicomfs.source.pulse import Pulse, beat, resting

_A = TypeVar("_A")
_A_co = TypeVar("_A_co", covariant=True)
_I = TypeVar("_I")

# Drives and servers that are asked at a time.
_THREADS: Final = 8
# Threads that may be left behind: each of them takes memory.
_MOST_LEFT: Final = 16
# What may wait for a thread, so that none is idle.
_AHEAD: Final = 64


class Task(Generic[_A_co]):
    """A piece of work that was begun; ``Workers.answer`` waits for it."""

    def __init__(self, work: Callable[[], _A_co]) -> None:
        self._work = work
        self._answers: list[_A_co] = []
        self._error: BaseException | None = None
        self.pulse = Pulse()
        self.is_begun = False
        self.is_done = False
        self.is_left = False

    def run(self) -> None:
        """Do the work, and keep what it gives."""
        try:
            with self.pulse.felt():
                self._answers.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is for who waits
            self._error = error

    def result(self) -> _A_co:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._answers[0]


class _Batch(Generic[_I, _A]):
    """A few *items*, on which *work* is done one after the other."""

    def __init__(self, work: Callable[[_I], _A], items: Sequence[_I]) -> None:
        self.work = work
        self.items = items
        self.outcomes: list[_A | OSError] = []

    def run(self) -> None:
        """Do the work on them."""
        for item in self.items:
            beat()
            try:
                outcome: _A | OSError = self.work(item)
            except OSError as error:
                outcome = error
            self.outcomes.append(outcome)


class Workers:
    """Threads that do work that may hang, *count* at a time, in the order of beginning.

    Work that shows no sign of life for *deadline* seconds is left behind, and another
    thread takes its place. Once *most_left* hang, no more threads are made.
    """

    def __init__(
        self,
        count: int,
        deadline: float,
        name: str,
        *,
        most_left: int = _MOST_LEFT,
    ) -> None:
        self.deadline = deadline
        self._count = count
        self._name = name
        self._most_left = most_left
        self._working = 0
        self._left = 0
        self._waiting: deque[Task[object]] = deque()
        self._running: set[Task[object]] = set()
        self._changed = threading.Condition()

    def begin(self, work: Callable[[], _A], *, is_next: bool = False) -> Task[_A]:
        """Have *work* done, as soon as there is a thread for it, or as the *next*."""
        task = Task(work)
        with self._changed:
            if is_next:
                self._waiting.appendleft(task)
            else:
                self._waiting.append(task)
            self._fill()
        return task

    def answer(self, task: Task[_A]) -> _A:
        """Return what *task* gives, or raise what it raises.

        Raises TimeoutError if it hangs; OSError (ENODEV) if it was not even begun, as
        there is no thread that does not hang.
        """
        with resting(), self._changed:
            while not task.is_done:
                self._changed.wait(self._seconds(task))
        return task.result()

    def _seconds(self, task: Task[_A]) -> float:
        """Return how long *task* may still be waited for; raises if no longer."""
        # Also those that nobody waits for yet: they keep others from being begun.
        for each in [each for each in self._running if self._left_for(each) <= 0]:
            self._leave(each)
        if task.is_left:
            seconds = f"{self.deadline:g} seconds"
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {seconds}")
        if not (task.is_begun or self._working):
            raise OSError(errno.ENODEV, "too much of it does not answer")
        return min([self.deadline, *map(self._left_for, self._running)])

    def _left_for(self, task: Task[object]) -> float:
        """Return for how many seconds *task* may still be silent."""
        return self.deadline - task.pulse.silence

    def ask(self, work: Callable[[], _A]) -> _A:
        """Have *work* done and wait for it; raises as ``answer``."""
        return self.answer(self.begin(work))

    def map(
        self, work: Callable[[_I], _A], items: Iterable[_I], batch: int = 1
    ) -> Iterator[_A | OSError]:
        """Yield what *work* returns for each of *items*, in their order.

        An OSError that it raises is yielded, too, as is that it hangs. A thread takes so
        many of them in a *batch*, of which one that hangs costs no other.
        """
        begun: deque[tuple[_Batch[_I, _A], Task[None]]] = deque()
        waiting = iter(items)
        while some := list(islice(waiting, batch)):
            few = _Batch(work, some)
            begun.append((few, self.begin(few.run)))
            if len(begun) * batch >= _AHEAD:
                yield from self._outcomes(*begun.popleft())
        while begun:
            yield from self._outcomes(*begun.popleft())

    def _outcomes(
        self, batch: "_Batch[_I, _A]", task: Task[None]
    ) -> Iterator[_A | OSError]:
        """Yield what a *batch* comes to, without the one that it hangs at."""
        while True:
            try:
                self.answer(task)
            except OSError as error:
                # It may go on while it is left behind.
                known = batch.outcomes[:]
                rest = batch.items[len(known) + 1 :]
                yield from known
                yield error
                if not rest:
                    return
                batch = _Batch(batch.work, rest)
                task = self.begin(batch.run, is_next=True)
            else:
                yield from batch.outcomes
                return

    def end(self) -> None:
        """Let all work end with its next beat, and begin no more."""
        with self._changed:
            self._count = 0
            self._waiting.clear()
            for task in list(self._running):
                self._leave(task)

    # -- with the lock held ------------------------------------------------------------

    def _fill(self) -> None:
        is_room = self._working < self._count and self._left < self._most_left
        if self._waiting and is_room:
            self._working += 1
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _leave(self, task: Task[_A]) -> None:
        """Wait for *task* no longer."""
        task.is_left = True
        task.pulse.leave()
        self._running.discard(task)
        self._working -= 1
        self._left += 1
        self._fill()

    # -- in the threads ----------------------------------------------------------------

    def _work(self) -> None:
        while (task := self._next()) is not None:
            task.run()
            if not self._is_waited_for(task):
                return

    def _next(self) -> Task[object] | None:
        with self._changed:
            if not self._waiting:
                self._working -= 1
                return None
            task = self._waiting.popleft()
            task.pulse = Pulse()
            task.is_begun = True
            self._running.add(task)
            return task

    def _is_waited_for(self, task: Task[object]) -> bool:
        """Give what *task* came to to who waits; return False if nobody does."""
        with self._changed:
            if task.is_left:
                self._left -= 1
                self._fill()
                return False
            self._running.discard(task)
            task.is_done = True
            self._changed.notify_all()
            return True


class PatientLister:
    """Lists the folders of *medium*; one that hangs is an error (TimeoutError)."""

    def __init__(self, medium: Lister, workers: Workers) -> None:
        self._medium = medium
        self._workers = workers

    def entries(self, folder: Place) -> Mapping[bytes, EntryType]:
        """Return the names in *folder* and what they are; raises OSError."""
        return self._workers.ask(lambda: self._medium.entries(folder))


def answers(questions: Sequence[Callable[[], _A]], deadline: float) -> list[_A | None]:
    """Return what each of *questions* answers, in their order; None if it hangs.

    A few are asked at a time. They must not raise.
    """
    workers = Workers(_THREADS, deadline, "opening", most_left=len(questions))
    tasks = [workers.begin(question) for question in questions]
    return [_answer(workers, task) for task in tasks]


def _answer(workers: Workers, task: Task[_A]) -> _A | None:
    try:
        return workers.answer(task)
    except TimeoutError:
        return None
