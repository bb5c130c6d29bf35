"""Data elements in a run of bytes (PS3.5 section 7): where they are, not what they say.

Values are left where they lie, so that an element of any length costs the reading of
its header only.
"""

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct, unpack
from struct import error as StructError  # noqa: N812 - an exception's name
from typing import Final, Literal, NamedTuple

from dicomfs.dicom import tags
from dicomfs.errors import ElementError, EndlessError
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_DELIMITATION: Final = 0xFFFEE00D
SEQUENCE_DELIMITATION: Final = 0xFFFEE0DD

# Real sequences nest ten or fifteen deep (structured reports); more is an attack.
MAX_DEPTH: Final = 64
_LONGEST_MEANING: Final = 4096

# PS3.5 table 7.1-2: only these have a length of two bytes.
SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_ITEM_GROUP: Final = 0xFFFE
_HEADER: Final = 8
_LONG_HEADER: Final = 12


class Syntax:
    """How elements are encoded: with or without VRs, and in which byte order."""

    def __init__(self, *, explicit: bool, little: bool) -> None:
        self.explicit = explicit
        self.little = little
        order = "<" if little else ">"
        self.short = Struct(order + "HH2sH").unpack_from
        self._plain = Struct(order + "HHL").unpack_from
        self._long = Struct(order + "L").unpack_from
        self.header = self._explicit_header if explicit else self.plain_header

    def __repr__(self) -> str:
        return f"Syntax(explicit={self.explicit}, little={self.little})"

    def integer(self, value: bytes) -> int:
        """Return the unsigned integer that *value* holds."""
        return int.from_bytes(value, "little" if self.little else "big")

    def integers(self, values: Sequence[bytes]) -> Sequence[int]:
        """Return the unsigned integers that *values* hold."""
        if set(map(len, values)) != {4}:
            return [self.integer(value) for value in values]
        order = "<" if self.little else ">"
        return unpack(f"{order}{len(values)}L", b"".join(values))

    def tag(self, tag: int) -> bytes:
        """Return *tag* as it is written: group, then element."""
        order: Literal["little", "big"] = "little" if self.little else "big"
        return (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)

    def plain_header(self, data: bytes, at: int) -> tuple[int, bytes | None, int, int]:
        """Return tag, no VR, length of the value and of the header itself."""
        group, element, length = self._plain(data, at)
        return group << 16 | element, None, length, _HEADER

    def _explicit_header(
        self, data: bytes, at: int
    ) -> tuple[int, bytes | None, int, int]:
        group, element, vr, length = self.short(data, at)
        tag = group << 16 | element
        if vr in SHORT_VRS:
            return tag, vr, length, _HEADER
        # Items have no VR; nor do elements of writers that change their minds.
        if group == _ITEM_GROUP or not is_vr(vr):
            return tag, None, self._long(data, at + 4)[0], _HEADER
        return tag, vr, self._long(data, at + 8)[0], _LONG_HEADER


EXPLICIT_LITTLE: Final = Syntax(explicit=True, little=True)
IMPLICIT_LITTLE: Final = Syntax(explicit=False, little=True)
EXPLICIT_BIG: Final = Syntax(explicit=True, little=False)
IMPLICIT_BIG: Final = Syntax(explicit=False, little=False)


class Element(NamedTuple):
    """A data element: its tag, its VR if the encoding has it, its value's place."""

    tag: int
    vr: bytes | None
    start: int
    length: int


def sniff(head: bytes) -> Syntax:
    """Return the encoding in which a data set beginning with *head* is written.

    Headers lie about it, the first element cannot: the first group of a data set is
    small, and two capital letters behind the tag are a VR.
    """
    little = int.from_bytes(head[0:2], "little") <= int.from_bytes(head[0:2], "big")
    explicit = is_vr(head[4:6])
    if little:
        return EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE
    return EXPLICIT_BIG if explicit else IMPLICIT_BIG


def elements(
    window: Window,
    offset: int,
    end: int,
    syntax: Syntax,
    depth: int = 0,
    *,
    cut: bool = False,
) -> Iterator[Element]:
    """Yield the elements from *offset* to *end*, in the order in which they lie there.

    An Item Delimitation Item is yielded and ends the run. A value of undefined length
    is passed over only when the next element is asked for. A run that is cut off in
    the middle of an element ends before it, or behind it with *cut*. Raises
    ElementError where undefined lengths nest too deeply or are not closed.
    """
    data, start, header = window.data, window.start, syntax.header
    while offset + _HEADER <= end:
        at = offset - start
        if at < 0 or at + _LONG_HEADER > len(data):
            window.load(offset)
            data, start, at = window.data, offset, 0
        try:
            tag, vr, length, size = header(data, at)
        except StructError:
            return
        value = offset + size
        if length != UNDEFINED_LENGTH and value + length > end and not cut:
            return
        yield Element(tag, vr, value, length)
        if tag == ITEM_DELIMITATION:
            return
        if length != UNDEFINED_LENGTH:
            offset = value + length
        else:
            inner = syntax_inside(vr, syntax)
            offset = end_of_undefined(window, value, end, inner, depth + 1)


def syntax_inside(vr: bytes | None, syntax: Syntax) -> Syntax:
    """Return how the items are encoded in a value of undefined length."""
    # PS3.5 6.2.2: what UN hides is implicit little endian.
    return IMPLICIT_LITTLE if vr == b"UN" else syntax


def read_values(  # noqa: C901, PLR0915 - unrolled, as it runs for every record
    window: Window,
    offset: int,
    end: int,
    syntax: Syntax,
    wanted: Mapping[int, int],
    values: dict[int, bytes],
    last_tag: int = 0xFFFFFFFF,
    *,
    is_sorted: bool = True,
) -> int:
    """Put the values of the elements from *offset* to *end* into *values*, by tag.

    Only those of tags in *wanted*, which gives the longest value to be read of each.
    Ends before a tag above *last_tag*, else ends and raises as ``elements`` does, and
    raises ElementError where what *is_sorted* does not ascend: ``readings`` then knows
    more. Returns where it ended: *end*, if the elements fill all the room there is.

    This is the hot loop of listing a folder: it reads the common element by itself and
    leaves the others to ``elements``.
    """
    unpack, explicit = syntax.short, syntax.explicit
    data, start = window.data, window.start
    size, previous = len(data), -1
    while offset + _HEADER <= end:
        at = offset - start
        if at < 0 or at + _HEADER > size:
            window.load(offset)
            data, start, size, at = window.data, offset, len(window.data), 0
            if size < _HEADER:
                break
        group, element, vr, length = unpack(data, at)
        tag = group << 16 | element
        value = at + _HEADER
        if tag <= previous:
            raise ElementError("tags do not ascend", offset)
        previous = tag if is_sorted else -1
        if tag > last_tag:
            if group == _ITEM_GROUP and last_tag >> 16 < _ITEM_GROUP:
                raise ElementError("a delimiter closes nothing", offset)
            break
        if not explicit or vr not in SHORT_VRS:
            rest = _read_uncommon(window, offset, end, syntax, wanted, values)
            if rest is None:
                break
            offset, data, start = rest, window.data, window.start
            size = len(data)
            continue
        offset += _HEADER + length
        if offset > end:
            return value + start - _HEADER
        if length <= wanted.get(tag, -1):
            if value + length <= size:
                values[tag] = data[value : value + length]
            else:
                values[tag] = window.read(offset - length, length)
    return offset


def _read_uncommon(
    window: Window,
    offset: int,
    end: int,
    syntax: Syntax,
    wanted: Mapping[int, int],
    values: dict[int, bytes],
) -> int | None:
    """Read the one element at *offset* into *values*; return where the next begins.

    None if no element begins there.
    """
    run = elements(window, offset, end, syntax)
    element = next(run, None)
    if element is None or element.tag == ITEM_DELIMITATION:
        return None
    stop = element.start + element.length
    if element.length == UNDEFINED_LENGTH:
        inner = syntax_inside(element.vr, syntax)
        stop = end_of_undefined(window, element.start, end, inner, 1)
    if stop - element.start <= wanted.get(element.tag, -1):
        values[element.tag] = window.read(element.start, stop - element.start)
    return stop


def items(
    window: Window, offset: int, end: int, syntax: Syntax
) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each item of the sequence whose value is at *offset*.

    An item of undefined length is yielded with the end of the whole sequence; reading
    its elements ends at its delimiter.
    """
    while offset + _HEADER <= end:
        tag, length = _item_header(window, offset, syntax)
        offset += _HEADER
        if tag != ITEM:
            return
        if length == UNDEFINED_LENGTH:
            yield offset, end
            offset = _end_of_item(window, offset, end, syntax, 1)
        else:
            yield offset, min(offset + length, end)
            offset += length


def code_meaning(sequence: bytes, syntax: Syntax) -> bytes:
    """Return the Code Meaning in the first item of a code *sequence*.

    Raises ElementError where it is damaged.
    """
    window = Window(BytesSource(sequence))
    wanted = {tags.CODE_MEANING: _LONGEST_MEANING}
    values: dict[int, bytes] = {}
    for start, end in items(window, 0, len(sequence), syntax):
        read_values(window, start, end, syntax, wanted, values, is_sorted=False)
        break
    return values.get(tags.CODE_MEANING, b"")


def is_vr(letters: bytes) -> bool:
    """Whether *letters* may be a VR, also one that is defined some day."""
    return len(letters) == 2 and letters.isalpha() and letters.isupper()


def _item_header(window: Window, offset: int, syntax: Syntax) -> tuple[int, int]:
    header = window.read(offset, _HEADER)
    if len(header) < _HEADER:
        raise EndlessError("a sequence is cut off", offset)
    tag, _, length, _ = syntax.plain_header(header, 0)
    return tag, length


def end_of_undefined(
    window: Window, offset: int, end: int, syntax: Syntax, depth: int
) -> int:
    """Return where the value of undefined length that begins at *offset* ends."""
    if depth > MAX_DEPTH:
        raise ElementError(f"sequences nest deeper than {MAX_DEPTH}", offset)
    while offset + _HEADER <= end:
        tag, length = _item_header(window, offset, syntax)
        offset += _HEADER
        if tag == SEQUENCE_DELIMITATION:
            return offset
        if tag != ITEM:
            raise ElementError("no item in a sequence of undefined length", offset)
        if length == UNDEFINED_LENGTH:
            offset = _end_of_item(window, offset, end, syntax, depth)
        else:
            offset += length
    raise EndlessError("a sequence of undefined length has no end", offset)


def _end_of_item(
    window: Window, offset: int, end: int, syntax: Syntax, depth: int
) -> int:
    """Return where the item of undefined length that begins at *offset* ends."""
    for element in elements(window, offset, end, syntax, depth):
        if element.tag == ITEM_DELIMITATION:
            return element.start
    raise EndlessError("an item of undefined length has no end", offset)
