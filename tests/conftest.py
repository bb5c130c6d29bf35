"""What all tests have at hand, and what is seen to after each of them.

For tests that mount (see ``mounting.py`` for what they get):

``mount``          mounts a medium by the command line and returns a `Mount`:
                   ``mount(source)``, ``mount(source, "--umask", "022")``,
                   ``mount(source, user=ordinary_user)``. Ended after the test.
``mount_once``     the same for fixtures of a module; ended after the module.
``sample_mount``   pydicom's sample medium (31 instances), mounted once a module.
``samples``        the folder of pydicom's DICOMDIRs (no copy: only to be read).
``bare_python``    a Python in which pyfuse3 and trio are not installed.
``ordinary_user``  somebody who is not root, with a folder of their own.

``need("dcmdump")`` of ``mounting.py`` skips a test where the tool is missing; with
DICOMFS_REQUIRE_TOOLS=1 in the environment, as in CI, the test fails instead.

After each test, without being asked:

* a warning or worse that was logged and not expected fails the test;
  ``expect_log("pattern")`` expects one, and ``Mount.expect_log`` one in the log of a
  mount;
* a test that takes longer than a minute is stopped by a watchdog, which ends all that
  serves a mount: a client of a hung mount cannot be interrupted otherwise;
* whatever is still mounted or running is ended, and that fails the test too.

How much a test tries depends on the profile of Hypothesis: see ``amounts.py``.
"""

import logging
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import amounts, mounting
from tests.support.mounting import SAMPLES, BarePython, Mount, Mounter, User

ExpectLog = Callable[[str], None]

_LONGEST_TEST = 60.0

amounts.register_profiles()

# A shell has what it starts in the background ignore Ctrl-C, and so does whatever that
# starts. Here it is pressed.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def expect_log(caplog: pytest.LogCaptureFixture) -> Iterator[ExpectLog]:
    """Fail the test for a warning that it did not expect, or that did not come."""
    patterns: list[str] = []

    yield patterns.append

    said = [
        record.getMessage()
        for when in ("setup", "call")
        for record in caplog.get_records(when)
        if record.levelno >= logging.WARNING
    ]
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in said), (pattern, said)
    assert [line for line in said if not _matches_any(line, patterns)] == []


def _matches_any(line: str, patterns: list[str]) -> bool:
    return any(re.search(pattern, line) for pattern in patterns)


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """Stop whatever serves a mount when a test hangs."""
    barked = threading.Event()

    def bark() -> None:
        barked.set()
        mounting.stop_everything()

    timer = threading.Timer(_LONGEST_TEST, bark)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()
    assert not barked.is_set(), "the watchdog had to end it"


@pytest.fixture(scope="session", autouse=True)
def nothing_left() -> Iterator[None]:
    """Leave no process behind at the end of all tests."""
    yield
    left = mounting.marked()
    mounting.stop_everything()
    assert left == []


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> BarePython:
    """Return a Python without pyfuse3 and trio."""
    return mounting.make_bare_python(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Return a folder that others can reach, which they cannot with tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="dicomfs-test-"))
    folder.chmod(0o755)
    yield folder
    left = mounting.mounts_below(folder)
    for place in left:
        mounting.force_off(place)
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def mount(tmp_path: Path, public_folder: Path) -> Iterator[Mounter]:
    """Mount media for one test."""
    # What an ordinary user mounts lies in the public folder, so it has to outlive us.
    del public_folder
    with mounting.mounter(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def mount_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounter]:
    """Mount media for all tests of a module."""
    with mounting.mounter(tmp_path_factory.mktemp("mounts")) as made:
        yield made


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of the DICOMDIRs that pydicom ships, a medium itself."""
    return SAMPLES


@pytest.fixture(scope="module")
def sample_mount(mount_once: Mounter) -> Mount:
    """Return pydicom's sample medium, mounted; shared by the tests of a module."""
    return mount_once(SAMPLES)


@pytest.fixture
def ordinary_user(public_folder: Path) -> User:
    """Return somebody who is not root, with a folder of their own."""
    user = mounting.ordinary_user(public_folder)
    user.owns(public_folder)
    return user
