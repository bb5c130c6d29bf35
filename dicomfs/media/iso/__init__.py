"""ISO 9660 images (ECMA-119), with Joliet and Rock Ridge, read in user space."""

from dicomfs.media.iso.image import Iso, recognises

__all__ = ["Iso", "recognises"]
