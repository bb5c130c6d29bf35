"""What the fetcher may read: how names are resolved, who is trusted, its credentials.

Besides, the libraries that it runs, as they load parts of themselves, and data, when
those are needed. It may write nothing, and read nothing else.
"""

import ctypes
import os
import re
import site
import ssl
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from dicomfs.remote.urls import protocol_of

_NSSWITCH: Final = Path("/etc/nsswitch.conf")
_HOSTS: Final = re.compile(r"^\s*hosts:([^#\n]*)", re.MULTILINE)
_RESOLUTION: Final = (
    str(_NSSWITCH),
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
)
# Where distributions have certificates, to which OpenSSL's own folder has links. What
# lies beside them in /etc/ssl and /etc/pki are keys.
_CERTIFICATES: Final = (
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
)
_CERTIFICATES_NAMED_BY: Final = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)


class _Credentials(NamedTuple):
    """Where libraries look for credentials: below the home, and as variables say."""

    in_home: tuple[str, ...]
    named_by: tuple[str, ...] = ()


_WEB: Final = _Credentials((".netrc",), ("NETRC",))
_AMAZON: Final = _Credentials(
    (".aws", ".boto"),
    (
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CA_BUNDLE",
        "BOTO_CONFIG",
    ),
)
_GOOGLE: Final = _Credentials(
    (".config/gcloud",), ("CLOUDSDK_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS")
)
_MICROSOFT: Final = _Credentials(
    (".azure",), ("AZURE_CONFIG_DIR", "AZURE_FEDERATED_TOKEN_FILE")
)
_SHELL: Final = _Credentials((".ssh",))
_CREDENTIALS: Final = {
    **dict.fromkeys(("http", "https", "webdav", "dav"), _WEB),
    **dict.fromkeys(("s3", "s3a"), _AMAZON),
    **dict.fromkeys(("gs", "gcs"), _GOOGLE),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), _MICROSOFT),
    **dict.fromkeys(("sftp", "ssh"), _SHELL),
}


class Readable:
    """The files that may be read, and the folders beneath which, for some URLs."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._paths = {*_RESOLUTION, *_certificates(), *_libraries()}
        self._paths.update(_credentials({protocol_of(url) for url in urls}))
        self._found = self._look()

    def open(self) -> list[int]:
        """Return descriptors of those that are there; they cannot be read by them."""
        descriptors = []
        for path in self._paths:
            with suppress(OSError):
                descriptors.append(os.open(path, os.O_PATH | os.O_CLOEXEC))
        return descriptors

    def is_outdated(self) -> bool:
        """Whether there are other files now, which may not be read.

        Whoever writes a file anew puts another one in its place: so does the machine
        with resolv.conf when it comes into another network.
        """
        return self._look() != self._found

    def _look(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in self._paths:
            with suppress(OSError):
                status = os.stat(path)  # noqa: PTH116 - often, and of many
                found[path] = status.st_dev, status.st_ino
        return found


def _certificates() -> Iterator[str]:
    """Yield where certificates may lie of those whom this machine trusts."""
    yield from _CERTIFICATES
    defaults = ssl.get_default_verify_paths()
    yield from (defaults.openssl_cafile, defaults.openssl_capath)
    yield from _named_by(_CERTIFICATES_NAMED_BY)


def _libraries() -> Iterator[str]:
    """Yield the folders of Python, and of all packages that it has loaded."""
    yield from (sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    yield from site.getsitepackages()
    for name, module in [*sys.modules.items()]:
        if "." not in name:
            yield from getattr(module, "__path__", ())


def _credentials(protocols: set[str]) -> Iterator[str]:
    """Yield where the libraries for *protocols* look for credentials."""
    for protocol in protocols & _CREDENTIALS.keys():
        in_home, named_by = _CREDENTIALS[protocol]
        yield from (str(Path(_expanded("~"), name)) for name in in_home)
        yield from _named_by(named_by)


def _named_by(variables: Sequence[str]) -> Iterator[str]:
    for variable in variables:
        # Some may name several.
        yield from map(_expanded, os.environ.get(variable, "").split(os.pathsep))


def _expanded(path: str) -> str:
    """Return *path* with the home in it; as it is for a user who has none."""
    return os.path.expanduser(path)  # noqa: PTH111 - pathlib raises an error for that


def prepare_environment() -> None:
    """Say where the home is, and nothing of what cannot be reached.

    The table of all users, where the home would be looked for, may not be read.
    """
    os.environ.setdefault("HOME", _expanded("~"))
    os.environ.pop("SSH_AUTH_SOCK", None)


def load_name_services() -> None:
    """Load what resolves names on this machine: later no code can be loaded."""
    with suppress(OSError):
        lines = _NSSWITCH.read_text("utf-8", "replace")
        for service in re.findall(r"\w+", " ".join(_HOSTS.findall(lines))):
            with suppress(OSError):  # is built in, or is missing
                ctypes.CDLL(f"libnss_{service}.so.2")
