"""The worker, as who watches over it sees it: its process, and what it says."""

from dicomfs.mount.peer import Peer
from dicomfs.sandbox.voice import Ears, Kind, Log, Said, to_people


class Serving(Peer):
    """The worker *pid*, which speaks into the pipe *voice*.

    It is heard while it is waited for, in one process at a time.
    """

    def __init__(self, pid: int, voice: int) -> None:
        """Take hold of it; raises ProcessLookupError."""
        super().__init__(pid)
        self.voice = voice
        self._log = Log(pid)
        self._ears: Ears | None = None
        self.listen()

    def listen(self) -> None:
        """Hear what it says from now on."""
        self._ears = Ears(self.voice, self._hear)

    def leave_listening(self) -> None:
        """Leave what it says to another process."""
        self._ears = None

    def hear_until(self, ready: int, seconds: float | None = None) -> bool:
        """Wait, and hear, until the descriptor *ready* can be read; see ``Ears.until``."""
        return self._ears is not None and self._ears.until(ready, seconds)

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Whether the process ends within so many *seconds*; all it said is heard then."""
        if self._ears is None:
            return super().has_ended(seconds)
        return self._ears.until(self.fileno(), seconds)

    def _hear(self, said: Said) -> None:
        if said.kind is Kind.LOG:
            self._log.take(said)
        else:
            to_people(said)
