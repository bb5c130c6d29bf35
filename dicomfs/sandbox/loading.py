"""Loading ahead: in the sandbox there are no files that Python could load later."""

import codecs
from collections.abc import Iterable
from importlib import import_module


def load(names_of_codecs: Iterable[str], names_of_modules: Iterable[str]) -> None:
    """Load what Python would load when it is first used, each by its name."""
    for name in names_of_codecs:
        codecs.lookup(name)
    for name in names_of_modules:
        import_module(name)
