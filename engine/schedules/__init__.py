"""Schedules of snapshot sets: what is due, and the runs."""
