"""What side bars call a mount."""

import pytest

from dicomfs.tree import volume


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("CD 1", "Patients: CD 1"),
        ("Röntgen 山田", "Patients: Röntgen 山田"),
        ("", "Patients"),
        ("...", "Patients"),
        # What would be another key, an escape, or no text at all.
        ("CD\nIcon=evil", "Patients: CD Icon=evil"),
        (r"CD\n1", "Patients: CD_n1"),
        ("CD \udce4", "Patients: CD"),
    ],
)
def test_a_mount_is_called_by_the_name_of_its_medium(title: str, name: str) -> None:
    assert volume.info(title).decode().splitlines() == [
        "[Volume Info]",
        f"Name={name}",
        "Icon=media-optical",
    ]
