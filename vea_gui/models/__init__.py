"""Qt models over the mirror. They fold in net changes and never ask the engine."""
