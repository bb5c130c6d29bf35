"""Loading ahead: in the sandbox there are no files that Python could load later."""

import codecs
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.machinery import PathFinder


def load(names_of_codecs: Iterable[str], names_of_modules: Iterable[str]) -> None:
    """Load what Python would load when it is first used, each by its name."""
    for name in names_of_codecs:
        codecs.lookup(name)
    for name in names_of_modules:
        import_module(name)


def end() -> None:
    """Look for no file any more: what is missing is then an ImportError.

    Else it would be a file that may not be read, as files of a medium are.
    """
    sys.meta_path[:] = [each for each in sys.meta_path if each is not PathFinder]
