"""From stored values to grey: Modality LUT, window or VOI LUT (PS3.3 C.11.1 and C.11.2).

Header values are a stranger's. What makes no sense is passed over: a picture is shown then
as if the header did not have it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicomfs.pictures.stored import Array, Stored
from dicomfs.pictures.tables import table_in

Greys = npt.NDArray[np.uint8]

# Of values without a window, what is darker or brighter than nearly all is cut off.
_DARKEST, _BRIGHTEST = 0.5, 99.5
_BYTE: Final = 8
_WHITE: Final = 255
_PADDING: Final = ("PixelPaddingValue", "PixelPaddingRangeLimit")


def groups_of(dataset: Dataset, frame: int) -> Iterator[Dataset]:
    """Yield the data sets that say something of *frame*: its own before those of all.

    These are the items in its functional groups (PS3.3 C.7.6.16), then *dataset*.
    """
    for name, number in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        with suppress(Exception):  # a stranger's header raises what it likes
            for element in dataset[name].value[number]:
                if element.VR == "SQ" and element.value:
                    yield element.value[0]
    yield dataset


def numbers(groups: Sequence[Dataset], keyword: str) -> list[float]:
    """Return the numbers that the first of *groups* has by *keyword*, if it has any."""
    for group in groups:
        with suppress(Exception):
            value = group.get(keyword)
            if value not in (None, ""):
                several = value if isinstance(value, Sequence) else [value]
                found = [float(each) for each in several]
                if found and all(map(math.isfinite, found)):
                    return found
    return []


def greys(
    frame: Stored, dataset: Dataset, groups: Sequence[Dataset], *, is_little: bool
) -> Greys:
    """Return the values of a *frame* as grey, 0 for black; see ``groups_of``."""
    measured = _measured(frame.values, dataset, groups, is_little=is_little)
    shown = _windowed(measured, dataset, groups, is_little=is_little)
    if shown is None or shown.min() == shown.max():
        shown = _stretched(frame, measured, dataset)
    return _WHITE - shown if _is_inverse(frame, dataset) else shown


def scaled(values: Array, bits: int) -> Greys:
    """Return *values* from 0 on, of so many *bits*, as bytes."""
    if bits == _BYTE and values.dtype == np.uint8:
        return values
    return _bytes(values.astype(np.float64) * (_WHITE / (2**bits - 1)))


def _is_inverse(frame: Stored, dataset: Dataset) -> bool:
    """Whether what is low is bright (PS3.3 C.7.6.3.1.2 and C.8.11.1).

    Those that have both ways of saying it mean it once.
    """
    shape = str(dataset.get("PresentationLUTShape", "")).strip()
    return frame.photometric == "MONOCHROME1" or shape == "INVERSE"


def _windowed(
    measured: Array, dataset: Dataset, groups: Sequence[Dataset], *, is_little: bool
) -> Greys | None:
    """Return *measured* as the header wants it to be seen, None if it does not say."""
    center, width = (numbers(groups, f"Window{each}") for each in ("Center", "Width"))
    if center and width and width[0] > 0:
        function = next((str(f) for g in groups if (f := g.get("VOILUTFunction"))), "")
        return _in_window(measured, center[0], width[0], function.strip())
    with suppress(Exception):  # a stranger's header
        if dataset.get("VOILUTSequence"):
            table = table_in(dataset.VOILUTSequence[0], is_little=is_little)
            return scaled(table.of(measured), table.bits)
    return None


def _measured(
    values: Array, dataset: Dataset, groups: Sequence[Dataset], *, is_little: bool
) -> Array:
    """Return what *values* mean: Hounsfield units in CT, for example."""
    measured: Array = values.astype(np.float64)
    with suppress(Exception):  # a stranger's header
        if dataset.get("ModalityLUTSequence"):
            table = table_in(dataset.ModalityLUTSequence[0], is_little=is_little)
            return _sensible(table.of(values).astype(np.float64), measured)
    slope = numbers(groups, "RescaleSlope") or [1.0]
    intercept = numbers(groups, "RescaleIntercept") or [0.0]
    return _sensible(measured * (slope[0] or 1.0) + intercept[0], measured)


def _sensible(measured: Array, values: Array) -> Array:
    """Return *measured*, or the *values* that it was made of if it tells none apart."""
    return values if measured.min() == measured.max() else measured


def _in_window(values: Array, center: float, width: float, function: str) -> Greys:
    """Return *values* in a window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        power = np.clip(-4 * (values - center) / width, -50, 50)
        return _bytes(_WHITE / (1 + np.exp(power)))
    if function != "LINEAR_EXACT":
        center, width = center - 0.5, max(width - 1, 1e-6)
    return _bytes(((values - center) / width + 0.5) * _WHITE)


def _stretched(frame: Stored, measured: Array, dataset: Dataset) -> Greys:
    """Return *measured* from nearly the lowest to nearly the highest.

    Values of a byte that mean what they are are grey as they are.
    """
    values = frame.values
    is_byte = frame.bits == _BYTE and values.dtype == np.uint8
    if is_byte and np.array_equal(measured, values):
        return values
    counts = np.isfinite(measured) & ~_is_padding(values, dataset)
    counted = measured[counts] if counts.any() else np.zeros(1)
    low, high = np.percentile(counted, (_DARKEST, _BRIGHTEST))
    if not high > low:
        low, high = float(counted.min()), float(counted.max())
    return _bytes((measured - low) / max(high - low, 1e-6) * _WHITE)


def _is_padding(values: Array, dataset: Dataset) -> Array:
    """Return which *values* are around the image (PS3.3 C.7.5.1.1.2).

    Writers do not agree whether they are signed.
    """
    ends = []
    for keyword in _PADDING:
        value = numbers([dataset], keyword)
        if value:
            ends.append(np.array(value[:1]).astype(np.int64).astype(values.dtype)[0])
    if not ends or values.dtype.kind == "f":
        return np.zeros(values.shape, bool)
    is_padding: Array = (values >= min(ends)) & (values <= max(ends))
    return is_padding


def _bytes(values: Array) -> Greys:
    shown = np.nan_to_num(values, nan=0.0, posinf=_WHITE, neginf=0.0)
    return np.clip(shown + 0.5, 0, _WHITE).astype(np.uint8)
