"""One harness under Atheris: run by ``campaign`` in a process of its own.

python -m tests.guided.learn HARNESS [LIBFUZZER-OPTION...] FOLDER...
"""

import resource
import sys
from importlib import import_module
from random import Random
from typing import Final

_ADDRESS_SPACE: Final = 4 * 2**30
# How often an input is changed by its harness, and not by libFuzzer.
_KNOWING: Final = 0.5


def main() -> None:
    """Try inputs until libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    # Not known to those who check the types: it is in a group of its own.
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["dicomfs"]):
        harnesses = import_module("tests.guided.table").HARNESSES
    harness = import_module("tests.guided.harness")
    fuzz = import_module("tests.support.fuzz")
    which = harnesses[name]
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if which.mutate is not None and random.random() < _KNOWING:
            changed: bytes = which.mutate(data, random)[:most]
            return changed
        other: bytes = atheris.Mutate(data, most)
        return other

    with fuzz.listening() as listener:

        def try_one(data: bytes) -> None:
            with fuzz.limited(harness.MAX_SECONDS):
                which.run(data)
            if listener.said:
                raise fuzz.Broken(f"a name was logged: {listener.said}")

        longest = f"-max_len={which.longest}"
        atheris.Setup([sys.argv[0], longest, *options], try_one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
