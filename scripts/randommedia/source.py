"""A disc as people have it: a folder, an image, or an archive."""

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final

from scripts.randommedia.disc import Disc
from tests.build.images import make_iso
from tests.build.medium import write_medium


def write(rng: Random, disc: Disc, folder: Path, form: str) -> Path:
    """Write *disc* in this *form* below *folder*, and return where it is."""
    root = folder / f"disc-{disc.number}"
    root.mkdir()
    name = "dicomdir" if disc.is_lower else "DICOMDIR"
    write_medium(root, disc.records, dicomdir=name, **disc.options)
    for place, data in disc.others.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = FORMS[form](root, rng)
    if made != root:
        shutil.rmtree(root)
    return made


def _zip(root: Path, rng: Random) -> Path:
    to = root.with_suffix(".zip")
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    rng.shuffle(paths)
    with zipfile.ZipFile(to, "w") as out:
        for path in paths:
            method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            out.write(path, path.relative_to(root), method)
    return to


FORMS: Final[Mapping[str, Callable[[Path, Random], Path]]] = MappingProxyType(
    {
        "folder": lambda root, _: root,
        "ISO": lambda root, _: make_iso(root, root.with_suffix(".iso")),
        "plain ISO": lambda root, _: make_iso(
            root, root.with_suffix(".iso"), "--norock"
        ),
        "ZIP": _zip,
    }
)
