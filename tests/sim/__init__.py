"""The whole engine on simulated disks: one seed decides the schedule, the clock, the faults and the power cuts."""
