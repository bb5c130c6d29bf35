"""How a command ends: with an exit code, and with words if something is wrong."""

from collections.abc import Callable

from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.cli.terminal import complain, say
from dicomfs.errors import Failure, Problem


def ended(work: Callable[[], int]) -> int:
    """Return the exit code of *work*, or tell people what went wrong."""
    try:
        return work()
    except Failure as failure:
        return _failed(failure)
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - people get two lines, no traceback
        return _failed(_unforeseen(error))


def _failed(failure: Failure) -> Exit:
    told = complaint(failure)
    complain(told)
    return told.exit_code


def _unforeseen(error: Exception) -> Failure:
    from dicomfs import logs

    return Failure(Problem.UNFORESEEN, reason=logs.place_of(error))
