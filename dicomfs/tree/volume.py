"""What the side bars of file managers call a mount: ``.xdg-volume-info`` in its root.

GVfs looks for that file when something is mounted. Without it a mount has the name of its
mountpoint. It is a key file as GLib reads it, and found by its name only: programs that
send what they find would take it for an instance.
"""

from typing import Final

from dicomfs.tree.naming import clean

FILE: Final = ".xdg-volume-info"

_NAMELESS: Final = "Patients"
# Icons are called so by all themes (freedesktop.org, Icon Naming Specification).
_FORM: Final = "[Volume Info]\nName={name}\nIcon=media-optical\n"


def info(title: str) -> bytes:
    """Return the file for a mount of what people call *title*, which may be empty."""
    # Nothing is left in it that a key file would want escaped.
    named = clean(title).encode("utf-8", "replace").decode()
    name = f"{_NAMELESS}: {named}" if named else _NAMELESS
    return _FORM.format(name=name).encode()
