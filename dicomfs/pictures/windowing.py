"""From stored values to grey: Modality LUT, window or VOI LUT (PS3.3 C.11.1 and C.11.2).

Header values are a stranger's. What makes no sense is passed over: a picture is shown then
as if the header did not have it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

Array = npt.NDArray[Any]
Greys = npt.NDArray[np.uint8]

# Of values without a window, what is darker or brighter than nearly all is cut off.
_DARKEST, _BRIGHTEST = 0.5, 99.5
_BYTE: Final = 8
_WHITE: Final = 255


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


def greys(values: Array, dataset: Dataset, groups: Sequence[Dataset]) -> Greys:
    """Return the stored *values* of a frame as grey, 0 for black; see ``groups_of``."""
    shown = _windowed(values, dataset, groups)
    if shown is None or shown.min() == shown.max():
        shown = _stretched(values, dataset)
    if str(dataset.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1":
        shown = _WHITE - shown
    return shown


def _windowed(
    values: Array, dataset: Dataset, groups: Sequence[Dataset]
) -> Greys | None:
    """Return *values* as the header wants them to be seen, None if it does not say."""
    measured = _measured(values, dataset, groups)
    center, width = (numbers(groups, f"Window{each}") for each in ("Center", "Width"))
    if center and width and width[0] > 0:
        function = next((str(f) for g in groups if (f := g.get("VOILUTFunction"))), "")
        return _in_window(measured, center[0], width[0], function.strip())
    with suppress(Exception):
        if dataset.get("VOILUTSequence"):
            return _scaled(np.asarray(apply_voi(measured.astype(int), dataset)))
    return None


def _measured(values: Array, dataset: Dataset, groups: Sequence[Dataset]) -> Array:
    """Return what *values* mean: Hounsfield units in CT, for example."""
    with suppress(Exception):
        if dataset.get("ModalityLUTSequence"):
            return np.asarray(apply_modality_lut(values, dataset), np.float32)
    slope = numbers(groups, "RescaleSlope") or [1.0]
    intercept = numbers(groups, "RescaleIntercept") or [0.0]
    return values.astype(np.float32) * (slope[0] or 1.0) + intercept[0]


def _in_window(values: Array, center: float, width: float, function: str) -> Greys:
    """Return *values* in a window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        power = np.clip(-4 * (values - center) / width, -50, 50)
        return _bytes(_WHITE / (1 + np.exp(power)))
    if function != "LINEAR_EXACT":
        center, width = center - 0.5, max(width - 1, 1e-6)
    return _bytes(((values - center) / width + 0.5) * _WHITE)


def _stretched(values: Array, dataset: Dataset) -> Greys:
    """Return *values* from nearly the lowest to nearly the highest.

    Those of a byte are grey as they are.
    """
    if values.dtype == np.uint8 and not dataset.get("RescaleSlope"):
        stored = dataset.get("BitsStored")
        if stored == _BYTE:
            return np.asarray(values, np.uint8)
    counted = values
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int) and (counted := values[values != padding]).size == 0:
        counted = values
    low, high = np.percentile(counted, (_DARKEST, _BRIGHTEST))
    if not high > low:
        low, high = float(counted.min()), float(counted.max())
    return _bytes((values.astype(np.float32) - low) / max(high - low, 1e-6) * _WHITE)


def _scaled(values: Array) -> Greys:
    """Return the entries of a table, which begin at 0, as bytes."""
    highest = float(values.max())
    bits = max(math.ceil(math.log2(highest + 1)), 1) if highest > 0 else 1
    return _bytes(values.astype(np.float32) * (_WHITE / (2**bits - 1)))


def _bytes(values: Array) -> Greys:
    shown = np.nan_to_num(values, nan=0.0, posinf=_WHITE, neginf=0.0)
    return np.clip(shown + 0.5, 0, _WHITE).astype(np.uint8)
