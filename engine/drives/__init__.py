"""Volumes with drive letters and folders, as this host shows them: block files, and mounted file systems."""
