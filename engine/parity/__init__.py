"""The logs of RAID-5 volumes: what stands in them after a crash, and a new generation in each commit that needs one."""
