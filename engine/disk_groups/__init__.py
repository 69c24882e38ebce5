"""Disk groups on the LUNs of this host: made, imported, split, joined, given up; their volumes taken up."""
