"""ZIP archives (APPNOTE.TXT), read in place and inflated once."""

from dicomfs.media.zip.archive import Zip, recognises

__all__ = ["Zip", "recognises"]
