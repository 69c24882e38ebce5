"""Which regions of volumes are dirty or have changed: in memory, on disks, and kept in step in each commit."""
