"""A double click on a disc, on a screen without a monitor: see scripts/doubleclick."""
