"""What is left to the fetcher: the network, and a few files."""

import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from dicomfs.remote import fetcher, stores
from dicomfs.remote.rights import Readable
from dicomfs.remote.wire import Outcome
from dicomfs.source.window import BLOCK
from tests.sandbox.test_sandbox import (
    FORBIDDEN,
    GIBIBYTE,
    NOT_THERE,
    REFUSED,
    WITHOUT,
    Action,
    Held,
    at_large,
    folder,  # noqa: F401 - a fixture
    limit,
    statuses,
    told_by_child,
)
from tests.support.mounting import PATIENCE, need, need_root, python, run
from tests.support.servers import (
    S3Server,
    WebServer,
    fetcher_of,
    leave_machine,
    remotes,
    s3_server,
    web_server,
)

# Of the child only the thread that forked goes on, and that is all it needs.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

DATA: Final = os.urandom(8 * BLOCK)
SECRET: Final = "Sesame77"
URL: Final = "http://127.0.0.1/disc.iso"

ExpectLog = Callable[[str], None]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_machine(monkeypatch, tmp_path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server({"disc.iso": DATA}) as server:
        yield server


# -- what is forbidden -----------------------------------------------------------------


def as_the_fetcher(folder: Path, action: Action) -> str:  # noqa: F811
    """Return what comes of *action* in a process with the rights of a fetcher."""
    stores.load(URL)  # once for all: a child has what its parent has

    def prepare(_: Held) -> None:
        fetcher._confine([URL])

    return told_by_child(folder, action, prepare)


def _make(family: int, kind: int, protocol: int = 0) -> Action:
    return lambda _: socket.socket(family, kind, protocol).close()


def _pair_of_datagrams(_: Held) -> None:
    for each in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        each.close()


def _serve(_: Held) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.bind(("127.0.0.1", 0))


def _listen(_: Held) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        # Bound or not: the kernel finds a port by itself.
        made.listen()


# It has a network, and so some of what a worker is refused.
OF_THE_NETWORK: Final = {"make a socket", "send to an address"}
BESIDES: Final[dict[str, Action]] = {
    "make a socket of this machine": _make(socket.AF_UNIX, socket.SOCK_STREAM),
    "make a pair that sends to names": _pair_of_datagrams,
    "make a raw socket": _make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "make a packet socket": _make(socket.AF_PACKET, socket.SOCK_RAW),
    "make a socket of the firewall": _make(socket.AF_NETLINK, socket.SOCK_RAW, 12),
    "take a port": _serve,
    "listen": _listen,
    "read the secrets of the machine": lambda _: Path("/etc/shadow").read_bytes(),
    "read all users": lambda _: Path("/etc/passwd").read_bytes(),
    "list what lies beside certificates": lambda _: os.listdir("/etc/ssl"),  # noqa: PTH208
    "read the credentials of another protocol": lambda _: (
        Path.home() / ".aws/credentials"
    ).read_bytes(),
}
REFUSED_TO_IT: Final = {
    **{what: FORBIDDEN[what] for what in FORBIDDEN if what not in OF_THE_NETWORK},
    **BESIDES,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home, with credentials that are for no web server."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(SECRET)
    return tmp_path


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("what", REFUSED_TO_IT)
def test_the_fetcher_is_refused_to(folder: Path, what: str) -> None:  # noqa: F811
    assert as_the_fetcher(folder, REFUSED_TO_IT[what]) in REFUSED


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("what", BESIDES)
def test_without_the_sandbox_nothing_refuses_to(folder: Path, what: str) -> None:  # noqa: F811
    need_root()

    assert at_large(folder, BESIDES[what]) not in {*REFUSED, "ENOSYS"}


@pytest.mark.slow
def test_all_threads_of_a_fetcher_have_given_up_their_rights(web: WebServer) -> None:
    # A name makes it start a thread that resolves it.
    url = web.url("disc.iso").replace("127.0.0.1", "localhost")
    with remotes(url) as made:
        made.source(0).read_at(0, 10)
        pid = fetcher_of(made.connection)
        threads = statuses(pid)

        assert len(threads) > 1
        for thread in threads:
            assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2")
            sets = ("CapEff", "CapPrm", "CapInh", "CapAmb")
            assert {int(thread[name], 16) for name in sets} == {0}
            assert int(thread["CapBnd"], 16) == 0 or os.geteuid()
        assert limit(pid, "Max core file size") == ["0", "0"]
        assert limit(pid, "Max address space") == [str(2 * GIBIBYTE)] * 2


# -- what is left ----------------------------------------------------------------------


@pytest.mark.slow
def test_a_name_is_resolved_in_the_sandbox(web: WebServer) -> None:
    url = web.url("disc.iso").replace("127.0.0.1", "localhost")
    with remotes(url) as made:
        assert made.source(0).read_at(5, 10) == DATA[5:15]


# A network of its own, and an /etc, for the command behind it.
_ELSEWHERE: Final = """
ip link set lo up
mount --bind "$1" /etc
shift
exec "$@"
"""
# What resolves one name for the C library, as those of systemd and Avahi resolve some.
_NAME_SERVICE: Final = """
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <string.h>
#include <sys/socket.h>

enum nss_status _nss_third_gethostbyname2_r(const char *name, int family,
        struct hostent *found, char *buffer, size_t size, int *error, int *host_error) {
    static char address[4] = {127, 0, 0, 1}, *addresses[] = {address, 0}, *aliases[] = {0};
    if (family != AF_INET || strcmp(name, "third.example")) {
        *error = ENOENT;
        *host_error = HOST_NOT_FOUND;
        return NSS_STATUS_NOTFOUND;
    }
    *found = (struct hostent) {"third.example", aliases, AF_INET, 4, addresses};
    return NSS_STATUS_SUCCESS;
}
"""


@pytest.mark.slow
@pytest.mark.late
@pytest.mark.alone
def test_names_are_resolved_as_the_machine_does_it_wherever_it_comes_to(
    tmp_path: Path,
) -> None:
    need_root()
    need("unshare", "ip", "mount", "cc")
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    (etc / "nsswitch.conf").write_text("hosts: files third dns  # in this order\n")
    (tmp_path / "service.c").write_text(_NAME_SERVICE)
    library = tmp_path / "libnss_third.so.2"
    source = tmp_path / "service.c"
    made = run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)])
    assert made.returncode == 0, made.stderr
    program = [sys.executable, "-P", "-m", "tests.remote.other_network"]

    done = run(
        [
            *["unshare", "--mount", "--net", "sh", "-e", "-c", _ELSEWHERE, "sh"],
            *[str(etc), *program],
        ],
        env={"LD_LIBRARY_PATH": str(tmp_path)},
        seconds=2 * PATIENCE,
    )

    assert done.stdout.splitlines() == [
        "an object",
        "the server did not answer",
        "an object",
        "an object",
    ], done.stderr


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer any range with its bytes."""
        begin, end = self.headers["Range"].removeprefix("bytes=").split("-")
        part = DATA[int(begin) : int(end) + 1]
        self.send_response(206)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(DATA)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


@contextmanager
def tls_server(folder: Path) -> Iterator[str]:  # noqa: F811
    """Serve over TLS as localhost, by a certificate that it puts into *folder*."""
    need("openssl")
    made = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
    made += "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    done = subprocess.run(
        ["openssl", *made.split()], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/disc.iso"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "folder", "unknown"])
def test_a_server_is_believed_by_the_certificates_that_the_environment_names(
    tmp_path: Path, kind: str
) -> None:
    # In a process of its own: aiohttp reads them once, when it is imported.
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    with tls_server(tmp_path) as url:
        (trusted / "localhost.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
        subprocess.run(["openssl", "rehash", trusted], check=True)
        named = {
            "file": {"SSL_CERT_FILE": str(tmp_path / "cert.pem")},
            "folder": {"SSL_CERT_DIR": str(trusted)},
            "unknown": {},
        }[kind]
        said = python(_LOOK, url, env=named)

    expected = Outcome.UNREACHABLE if kind == "unknown" else Outcome.DONE
    assert said == f"{expected.name}\n"


_LOOK: Final = """
import sys
from dicomfs.remote import keeper
connection = keeper.start(sys.argv[1:], 2.0)
print(connection.looked[0].outcome.name)
connection.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", NOT_THERE)
def test_what_the_kernel_lacks_keeps_nobody_from_reading(
    web: WebServer, what: str
) -> None:
    numbers = ",".join(map(str, NOT_THERE[what]))
    code = [sys.executable, "-P", "-c", _LOOK, web.url("disc.iso")]

    done = run([sys.executable, "-c", WITHOUT, numbers, *code])

    assert done.stdout == "DONE\n", done.stderr


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.make("archive")
        server.put("archive", "disc.iso", DATA)
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("named", ["", "{home}/secret", "~/secret"])
def test_credentials_are_read_from_the_files_of_the_library(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.environment["AWS_ENDPOINT_URL"])
    file = tmp_path / ("secret" if named else ".aws/credentials")
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n"
    )
    if named:
        path = named.format(home=tmp_path)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", path)

    with remotes("s3://archive/disc.iso") as made:
        assert made.source(0).read_at(5, 10) == DATA[5:15]


@pytest.mark.slow
def test_credentials_that_are_replaced_are_read_anew(
    web: WebServer, tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("another process reads over the network now")
    netrc = tmp_path / ".netrc"

    def replace(password: str) -> None:
        web.password = f"jane:{password}"
        made = tmp_path / "new"
        made.write_text(f"machine 127.0.0.1 login jane password {password}\n")
        made.chmod(0o600)
        made.rename(netrc)

    replace(SECRET)
    with remotes(web.url("disc.iso")) as made:
        source = made.source(0)
        assert source.read_at(5, 10) == DATA[5:15]
        replace("Simsim")
        assert source.read_at(BLOCK, 10) == DATA[BLOCK : BLOCK + 10]


def test_what_may_be_read_is_outdated_once_a_file_of_it_is_another_one(
    tmp_path: Path,
) -> None:
    readable = Readable([URL])
    assert not readable.is_outdated()

    (tmp_path / ".netrc").touch()
    assert readable.is_outdated()

    assert not Readable([URL]).is_outdated()
