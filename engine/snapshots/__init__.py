"""What snapshots need while they live: what has changed since, and a refresh that waits for its copies."""
