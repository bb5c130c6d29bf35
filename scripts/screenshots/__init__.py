"""Screenshots of file managers that show a mount; see ``scripts/desktop``."""
