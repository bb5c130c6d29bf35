"""UDF images (ECMA-167 and OSTA UDF), read in user space."""

from dicomfs.media.udf.image import Udf, recognises

__all__ = ["Udf", "recognises"]
