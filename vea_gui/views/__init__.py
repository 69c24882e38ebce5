"""Windows, panels and pages of the console."""
