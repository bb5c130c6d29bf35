"""The one table of harnesses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.guided import archives, links, names, records, wire
from tests.guided.harness import Harness

HARNESSES: Final[Mapping[str, Harness]] = MappingProxyType(
    {
        "elements": Harness(
            records.run_elements,
            records.record_seeds,
            longest=records.LONGEST,
            words=records.WORDS,
        ),
        "records": Harness(
            records.run_records,
            records.record_seeds,
            longest=records.LONGEST,
            words=records.WORDS,
        ),
        "headers": Harness(
            records.run_headers,
            records.header_seeds,
            longest=records.LONGEST,
            words=records.WORDS,
        ),
        "index": Harness(
            links.run_index,
            links.index_seeds,
            links.mutate_index,
            links.LONGEST,
            records.WORDS,
        ),
        "recovery": Harness(
            links.run_recovery,
            links.recovery_seeds,
            longest=4 * links.MOST_RECORDS + 2,
        ),
        "text": Harness(
            names.run_text, names.text_seeds, longest=600, words=names.WORDS
        ),
        "iso": Harness(
            archives.run_iso,
            archives.iso_seeds,
            longest=16_384,
            words=archives.ISO_WORDS,
        ),
        "udf": Harness(
            archives.run_udf,
            archives.udf_seeds,
            archives.mutate_udf,
            16_384,
            archives.UDF_WORDS,
        ),
        "zip": Harness(archives.run_zip, archives.zip_seeds, words=archives.ZIP_WORDS),
        "tar": Harness(
            archives.run_tar,
            archives.tar_seeds,
            archives.mutate_tar,
            8192,
            archives.TAR_WORDS,
        ),
        "wire": Harness(wire.run_wire, wire.wire_seeds, longest=1024, words=wire.WORDS),
    }
)
