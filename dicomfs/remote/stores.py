"""What lies behind a URL, by fsspec: objects of which a part is read, and their folders.

Runs in the fetcher alone: fsspec and what speaks a protocol is imported here, and only
when a URL needs it. Each store reads bytes of one version of an object, or fails: bytes
of two versions never mix.

    HTTP    each answer carries the version that it is of (ETag, else Last-Modified)
            and the object's length: all have to be those of the first answer
    S3      If-Match, and the same comparison
    others  what tells versions apart is asked for again after each read
"""

import asyncio
import hashlib
import importlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from dicomfs.remote.urls import protocol_of
from dicomfs.remote.wire import Outcome, RemoteListing, RemoteStatus, is_name

# What fsspec calls what tells one version of an object from another.
_VALIDATORS: Final = (
    "ETag",
    "etag",
    "LastModified",
    "last_modified",
    "mtime",
    "modified",
    "updated",
    "generation",
    "created",
    "md5Hash",
    "content_md5",
    "checksum",
)
_TIMES: Final = ("LastModified", "last_modified", "mtime", "modified", "updated")
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")

# What an HTTP status means; others are tried again.
_STATUSES: Final = {
    401: Outcome.REFUSED,
    403: Outcome.REFUSED,
    404: Outcome.MISSING,
    407: Outcome.REFUSED,
    410: Outcome.MISSING,
    412: Outcome.CHANGED,
    416: Outcome.CHANGED,
}
# What is answered for the first byte of an empty object.
_NOT_SATISFIABLE: Final = 416
_PARTIAL: Final = 206
_WHOLE: Final = 200


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the code
    """That a request has this outcome, and will have it when it is repeated."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome


class TransientError(Exception):
    """An answer that another one may follow which is better."""


class Store(ABC):
    """What is at a URL and below it. Names are relative to it, and empty for itself.

    Methods raise Refusal, or any other error where another attempt may succeed.
    """

    @abstractmethod
    async def find(self) -> RemoteStatus:
        """Look what the URL leads to."""

    @abstractmethod
    async def read(self, name: str, tag: str, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset* of that version of an object."""

    async def list(self, name: str) -> RemoteListing:
        """Return what is in a folder."""
        del name
        raise Refusal(Outcome.NO_FOLDERS)


def load(url: str) -> Any:
    """Return fsspec's class for *url*, with all libraries that it takes; raises Refusal."""
    fsspec = importlib.import_module("fsspec")
    try:
        return fsspec.get_filesystem_class(protocol_of(url))
    except ImportError as error:
        raise Refusal(Outcome.NO_LIBRARY) from error
    except ValueError as error:
        raise Refusal(Outcome.NO_PROTOCOL) from error


def open_store(url: str, patience: float) -> Store:
    """Return the store for *url*; raises Refusal.

    An answer that does not begin, or go on, within *patience* seconds is given up.
    """
    made = load(url)
    configured = importlib.import_module("fsspec").config.apply_config(made, {})
    protocol = protocol_of(url)
    if protocol in {"http", "https"}:
        return HttpStore(url, made, configured, patience)
    if protocol in {"s3", "s3a"}:
        return S3Store(url, made, configured, patience)
    return AnyStore(url, made, {})


# -- HTTP ------------------------------------------------------------------------------


class HttpStore(Store):
    """An object on a web server; what is in a folder no web server says reliably."""

    def __init__(
        self, url: str, made: Any, configured: Mapping[str, Any], patience: float
    ) -> None:
        """*made* is fsspec's class, *configured* what its configuration files say."""
        self._aiohttp = importlib.import_module("aiohttp")
        # The environment's proxies, and ~/.netrc.
        client = {"trust_env": True, **configured.get("client_kwargs", {})}
        # Shared by all URLs, and so are its connections.
        self._fs = made(asynchronous=True, client_kwargs=client)
        self._url = self._fs.encode_url(url)
        self._timeout = self._aiohttp.ClientTimeout(
            total=None, sock_connect=patience, sock_read=patience
        )

    async def find(self) -> RemoteStatus:
        """Ask for the first byte: not all who may read an object may ask for less."""
        if self._url.path.endswith("/"):
            raise Refusal(Outcome.NO_FOLDERS)
        async with await self._get(0, 1) as response:
            if response.status != _NOT_SATISFIABLE:
                _check_status(response.status)
            size = _length(response.headers)
            tag = _version(response.headers, size)
            mtime_ns = _nanoseconds(_date(response.headers.get("Last-Modified")))
        return RemoteStatus(False, size, mtime_ns, tag)

    async def read(self, name: str, tag: str, offset: int, size: int) -> bytes:
        """Return those bytes; an answer that is longer is not read to its end."""
        del name  # there are no folders
        async with await self._get(offset, size) as response:
            _check_status(response.status)
            total = _length(response.headers)
            if _version(response.headers, total) != tag:
                raise Refusal(Outcome.CHANGED)
            _check_range(response.headers["Content-Range"], offset, size)
            data: bytes = await response.content.readexactly(size)
        return data

    async def _get(self, offset: int, size: int) -> Any:
        session = await self._fs.set_session()
        request = {**self._fs.kwargs, "timeout": self._timeout}
        headers = {
            **request.pop("headers", {}),
            "Range": f"bytes={offset}-{offset + size - 1}",
            # Ranges are those of what is sent.
            "Accept-Encoding": "identity",
        }
        return await session.get(self._url, headers=headers, **request)


def _check_status(status: int) -> None:
    if status == _WHOLE:
        # All of it may be gigabytes: none of it is read.
        raise Refusal(Outcome.NO_RANGES)
    if status == _PARTIAL:
        return
    if status in _STATUSES:
        raise Refusal(_STATUSES[status])
    raise TransientError


def _length(headers: Mapping[str, str]) -> int:
    """Return the length of the object that a part was sent of."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None or headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(Outcome.NO_RANGES)
    return int(match[3])


def _check_range(sent: str, offset: int, size: int) -> None:
    match = _CONTENT_RANGE.fullmatch(sent)
    if match is None or (match[1], match[2]) != (str(offset), str(offset + size - 1)):
        raise TransientError


def _version(headers: Mapping[str, str], size: int) -> str:
    """Return what tells versions apart; without ETag and time the length alone."""
    told = headers.get("ETag") or headers.get("Last-Modified", "")
    return hashlib.sha256(f"{size} {told}".encode()).hexdigest()


# -- whatever else fsspec knows --------------------------------------------------------


class AnyStore(Store):
    """Objects and folders of any file system that fsspec has."""

    def __init__(self, url: str, made: Any, options: Mapping[str, Any]) -> None:
        self._is_async = bool(made.async_impl)
        if self._is_async:
            options = {**options, "asynchronous": True}
        options = {**made._get_kwargs_from_urls(url), **options}
        # What is asynchronous is shared by all URLs, and so are its connections.
        self._fs = made(skip_instance_cache=not self._is_async, **options)
        self._root = self._fs._strip_protocol(url).rstrip("/")
        # Not all of them can be used by two threads at a time.
        self._thread = ThreadPoolExecutor(1)

    def path(self, name: str) -> str:
        """Return what the file system calls the object *name*."""
        return f"{self._root}/{name}" if name else self._root

    async def find(self) -> RemoteStatus:
        """Ask what is there."""
        return self._found(await self._call("info", self.path("")))

    async def read(self, name: str, tag: str, offset: int, size: int) -> bytes:
        """Return those bytes, if the object is the same when they have been read."""
        path = self.path(name)
        data: bytes = await self._call(
            "cat_file", path, start=offset, end=offset + size
        )
        if not _is_same(self._found(await self._call("info", path)).tag, tag):
            raise Refusal(Outcome.CHANGED)
        if len(data) != size:
            raise TransientError
        return data

    async def list(self, name: str) -> RemoteListing:
        """Return the entries whose names can be those of a medium."""
        self._fs.invalidate_cache()
        path = self.path(name)
        listing: RemoteListing = {}
        infos = await self._call("ls", path, detail=True)
        if [(info["name"], info["type"]) for info in infos] == [(path, "file")]:
            raise Refusal(Outcome.NO_FOLDERS)
        for info in infos:
            folder, _, entry = str(info["name"]).rstrip("/").rpartition("/")
            if is_name(entry) and folder.strip("/") == path.strip("/"):
                with suppress(TransientError):  # of no known size
                    listing[entry] = self._found(info)
        return listing

    def _found(self, info: Mapping[str, Any]) -> RemoteStatus:
        """Return what fsspec tells of an entry."""
        found = status_of(info)
        if found is None:
            raise TransientError
        return found if found.is_folder else found._replace(tag=self._tag(info))

    def _tag(self, info: Mapping[str, Any]) -> str:
        """Return what tells this version of an object from others."""
        told = {key: info[key] for key in ("size", *_VALIDATORS) if info.get(key)}
        return json.dumps({key: _digest(value) for key, value in told.items()})

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            if self._is_async:
                return await getattr(self._fs, f"_{name}")(*arguments, **options)
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, lambda: getattr(self._fs, name)(*arguments, **options)
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refusal(Outcome.MISSING) from error
        except PermissionError as error:
            raise Refusal(Outcome.REFUSED) from error


def status_of(info: Mapping[str, Any]) -> RemoteStatus | None:
    """Return what fsspec tells of an entry; None if it does not know how large it is."""
    if info["type"] == "directory":
        return RemoteStatus(True)
    size = info["size"]
    if not isinstance(size, int) or size < 0:
        return None
    mtime = next((info[key] for key in _TIMES if info.get(key)), None)
    return RemoteStatus(False, size, _nanoseconds(mtime))


def _digest(value: object) -> str:
    """Return a short form of what tells versions apart; times have many forms."""
    text = str(_nanoseconds(value) or value)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_same(now: str, tag: str) -> bool:
    """Whether two tags agree in what both say: a listing may say less than the rest."""
    ours, theirs = json.loads(now), json.loads(tag)
    return all(ours.get(key, value) == value for key, value in theirs.items())


def _nanoseconds(time: object) -> int:
    """Return a time, of whatever type, in nanoseconds since 1970; 0 for none."""
    if isinstance(time, str):
        with suppress(ValueError):
            time = datetime.fromisoformat(time)
    with suppress(ValueError, OverflowError):
        seconds = time.timestamp() if isinstance(time, datetime) else time
        if isinstance(seconds, int | float):
            return max(int(seconds * 1e9), 0)
    return 0


def _date(value: str | None) -> datetime | None:
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(value) if value else None
    return None


# -- S3 --------------------------------------------------------------------------------


class S3Store(AnyStore):
    """Objects and prefixes of a bucket."""

    def __init__(
        self, url: str, made: Any, configured: Mapping[str, Any], patience: float
    ) -> None:
        """*made* is fsspec's class, *configured* what its configuration files say."""
        self._errors = importlib.import_module("botocore.exceptions")
        config = {
            "connect_timeout": patience,
            "read_timeout": patience,
            # The fetcher repeats by itself.
            "retries": {"max_attempts": 0},
            "max_pool_connections": 32,
            **configured.get("config_kwargs", {}),
        }
        options = {"config_kwargs": config, "use_listings_cache": False}
        super().__init__(url, made, options)
        self._fs.retries = 1

    async def read(self, name: str, tag: str, offset: int, size: int) -> bytes:
        """Return those bytes; the server compares the version, and so do we."""
        bucket, key, _ = self._fs.split_path(self.path(name))
        response = await self._call(
            "call_s3",
            "get_object",
            Bucket=bucket,
            Key=key,
            Range=f"bytes={offset}-{offset + size - 1}",
            IfMatch=tag,
        )
        async with response["Body"] as body:
            if response.get("ETag") != tag:
                raise Refusal(Outcome.CHANGED)
            if "ContentRange" not in response:
                raise Refusal(Outcome.NO_RANGES)
            _check_range(response["ContentRange"], offset, size)
            return await _read_exactly(body, size)

    def _tag(self, info: Mapping[str, Any]) -> str:
        return str(info["ETag"])

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return await super()._call(name, *arguments, **options)
        except (OSError, self._errors.BotoCoreError, self._errors.ClientError) as error:
            outcome = self._outcome(error)
            if outcome is None:
                raise
            raise Refusal(outcome) from error

    def _outcome(self, error: Exception) -> Outcome | None:
        """Return what *error* means, if it means that another attempt fails as well."""
        if isinstance(error, self._errors.NoCredentialsError):
            return Outcome.REFUSED
        for each in (error, error.__cause__):
            if isinstance(each, self._errors.ClientError):
                told = each.response.get("ResponseMetadata", {})
                return _STATUSES.get(told.get("HTTPStatusCode"))
        return None


async def _read_exactly(body: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await body.read(size - len(data))
        if not more:
            raise TransientError
        data += more
    return data
