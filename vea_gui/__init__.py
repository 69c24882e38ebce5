"""The console: Qt windows over the engine's front door."""
