"""The guard: what is around each handler, and lets nothing but errors of FUSE out of it.

pyfuse3 ends the whole mount at the first exception that is no FUSEError.
"""

import errno
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyfuse3
import trio

from dicomfs import logs
from dicomfs.errors import DicomfsError

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Guarded:
    """Has handlers, each of them ``guarded``; *under_way* says how many are at work."""

    under_way: int = 0


_G = TypeVar("_G", bound=Guarded)


def guarded(
    handler: Callable[Concatenate[_G, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[_G, P], Coroutine[Any, Any, R]]:
    """Let nothing but FUSEError out of *handler*.

    What dicomfs did not foresee is logged by type and place only: messages of others
    may quote what they choked on, and that may be a name.
    """

    @functools.wraps(handler)
    async def within(self: _G, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.under_way += 1
        try:
            return await handler(self, *args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from error
        except (DicomfsError, trio.TooSlowError) as error:
            log.warning("%s failed: %s", handler.__name__, type(error).__name__)
            raise pyfuse3.FUSEError(errno.EIO) from error
        except Exception as error:
            logs.unforeseen(log, handler.__name__, error)
            raise pyfuse3.FUSEError(errno.EIO) from error
        finally:
            self.under_way -= 1

    return within
