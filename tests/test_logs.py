"""Where logs go."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomfs import logs


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the log of the tests as it was."""
    log = logging.getLogger()
    before, level = log.handlers[:], log.level
    monkeypatch.setattr(logging, "raiseExceptions", True)
    yield
    for handler in set(log.handlers) - set(before):
        handler.close()
    log.handlers[:] = before
    log.setLevel(level)
    logging.getLogger("pyfuse3").disabled = False


def listening(path: Path) -> socket.socket:
    """Return what takes the messages of a system's log at *path*."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    made.settimeout(5)
    return made


def test_a_log_goes_on_after_syslog_was_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    monkeypatch.setattr(logs, "_SYSLOG", path)
    with listening(path) as first:
        logs.configure(logs.syslog(), verbose=True)
        logging.getLogger().info("one")
        assert b"one" in first.recv(100)
    path.unlink()

    with listening(path) as second:
        logging.getLogger().info("two")

        assert b"two" in second.recv(100)


def test_what_is_logged_to_is_known_by_its_descriptor(tmp_path: Path) -> None:
    logs.configure(logging.FileHandler(tmp_path / "log"))

    [descriptor] = logs.descriptors()

    assert Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path / "log"
