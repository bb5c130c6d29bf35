"""Mount a DICOMDIR medium as browsable Patient/Study/Series folders."""

__version__ = "0.1.0"
