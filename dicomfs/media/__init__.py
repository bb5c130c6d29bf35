"""Media: what a patient CD is to the rest of dicomfs, wherever its bytes come from."""

from dicomfs.media.folder import Folder
from dicomfs.media.medium import Medium, Path, Status

__all__ = ["Folder", "Medium", "Path", "Status"]
