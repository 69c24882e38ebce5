"""Alerts: what is told after a look, what is settled, and how it leaves the host."""
