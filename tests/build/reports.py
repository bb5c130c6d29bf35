"""Structured reports and choices of key images, with any content."""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.build.medium import Value, code

COMPREHENSIVE_3D: Final = "1.2.840.10008.5.1.4.1.1.88.34"
KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
ECG: Final = "1.2.840.10008.5.1.4.1.1.9.1.1"
STATE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"

Elements = dict[str, Value]


def item(
    type_: str, name: str = "", /, relation: str = "CONTAINS", **values: Value
) -> Elements:
    """Return a content item of a value type, with a concept name and values."""
    made: Elements = {"RelationshipType": relation, "ValueType": type_}
    if name:
        made["ConceptNameCodeSequence"] = code("1234", "99TEST", name)
    return {**made, **values}


def reference(sop_class: str, instance: str, **more: Value) -> list[Elements]:
    """Return a Referenced SOP Sequence."""
    about: Elements = {
        "ReferencedSOPClassUID": sop_class,
        "ReferencedSOPInstanceUID": instance,
    }
    return [{**about, **more}]


def evidence(studies: Mapping[str, Mapping[str, Sequence[str]]]) -> list[Elements]:
    """Return where instances are: their UIDs by series, and those by study."""
    return [
        {
            "StudyInstanceUID": study,
            "ReferencedSeriesSequence": [
                {
                    "SeriesInstanceUID": series,
                    "ReferencedSOPSequence": [
                        each for uid in uids for each in reference(CT, uid)
                    ],
                }
                for series, uids in of_study.items()
            ],
        }
        for study, of_study in studies.items()
    ]


def number(value: str, unit: str, meaning: str) -> list[Elements]:
    """Return a Measured Value Sequence."""
    units = code(unit, "UCUM", meaning)
    return [{"NumericValue": value, "MeasurementUnitsCodeSequence": units}]


def report(*content: Mapping[str, Value], **more: Value) -> Elements:
    """Return the elements of a report of *content*."""
    about: Elements = {
        "SOPClassUID": COMPREHENSIVE_3D,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "Modality": "SR",
        "ContentDate": "20230705",
        "ContentTime": "120000",
        "StudyDate": "20230705",
        "StudyTime": "113000",
        "PatientName": "Doe^Jane",
        "PatientID": "12345",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
        "ConceptNameCodeSequence": code("18748-4", "LN", "Diagnostic Imaging Report"),
        "PerformedProcedureCodeSequence": [],
        "ContentSequence": list(content),
    }
    return {**about, **more}


_FINDING: Final = code("9999", "99TEST", "Pulmonary nodule")

# An item of each value type, and what it is to say.
EVERY_TYPE: Final[Mapping[str, tuple[Elements, str]]] = {
    "TEXT": (item("TEXT", "Finding", TextValue="No mass."), "No mass."),
    "CODE": (
        item("CODE", "Finding", ConceptCodeSequence=_FINDING),
        "Pulmonary nodule",
    ),
    "NUM": (
        item(
            "NUM", "Diameter", MeasuredValueSequence=number("12.5", "mm", "millimeter")
        ),
        "12.5 mm (millimeter)",
    ),
    "DATETIME": (
        item("DATETIME", "Begun", DateTime="20230705113000.25+0200"),
        "2023-07-05 11:30:00.25 +02:00",
    ),
    "DATE": (item("DATE", "Day", Date="20230705"), "2023-07-05"),
    "TIME": (item("TIME", "Hour", Time="1130"), "11:30"),
    "UIDREF": (item("UIDREF", "Device", UID="1.2.3.99"), "1.2.3.99"),
    "PNAME": (
        item("PNAME", "Observer", PersonName="Roe^Richard"),
        "Roe, Richard",
    ),
    "COMPOSITE": (
        item("COMPOSITE", "Letter", ReferencedSOPSequence=reference(PDF, "1.2.3.5")),
        "DOC 1.2.3.5",
    ),
    "IMAGE": (
        item(
            "IMAGE",
            "Slice",
            ReferencedSOPSequence=reference(
                CT,
                "1.2.3.6",
                ReferencedFrameNumber=["2", "5"],
                ReferencedSOPSequence=reference(STATE, "1.2.3.7"),
            ),
        ),
        "image 1.2.3.6 (frame 2, 5) (shown by PR 1.2.3.7)",
    ),
    "WAVEFORM": (
        item(
            "WAVEFORM",
            "Lead",
            ReferencedSOPSequence=reference(
                ECG, "1.2.3.8", ReferencedWaveformChannels=[1, 2]
            ),
        ),
        "waveform 1.2.3.8 (channel 1, 2)",
    ),
    "SCOORD": (
        item("SCOORD", "Outline", GraphicType="POLYLINE", GraphicData=[1.5, 2, 3, 4]),
        "POLYLINE (1.5, 2), (3, 4)",
    ),
    "SCOORD3D": (
        item(
            "SCOORD3D",
            "Place",
            GraphicType="POINT",
            GraphicData=[1, 2, -3.25],
            ReferencedFrameOfReferenceUID="1.2.3.9",
        ),
        "POINT (1, 2, -3.25) (in 1.2.3.9)",
    ),
    "TCOORD": (
        item(
            "TCOORD",
            "Beats",
            TemporalRangeType="MULTIPOINT",
            ReferencedTimeOffsets=["1.5", "2"],
        ),
        "MULTIPOINT (seconds 1.5, 2)",
    ),
    "TABLE": (
        item(
            "TABLE",
            "Doses",
            TabulatedValuesSequence=[
                {
                    "NumberOfTableRows": 1,
                    "NumberOfTableColumns": 2,
                    "TableColumnDefinitionSequence": [
                        {
                            "TableColumnNumber": 1,
                            "ConceptNameCodeSequence": code("1", "99TEST", "Dose"),
                        },
                    ],
                    "CellValuesSequence": [
                        {
                            "TableRowNumber": 1,
                            "TableColumnNumber": 1,
                            "SelectorDSValue": "3.5",
                        },
                        {
                            "TableRowNumber": 1,
                            "TableColumnNumber": 2,
                            "SelectorFDValue": 2.25,
                        },
                    ],
                }
            ],
        ),
        "row 1, Dose: 3.5\nrow 1, column 2: 2.25",
    ),
}
