"""What becomes of the configuration when something is lost, exchanged, or back: edits, and no LUN is touched."""
