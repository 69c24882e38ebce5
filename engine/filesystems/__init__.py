"""What stands on volumes: which file system, and how much of the volume it claims."""
