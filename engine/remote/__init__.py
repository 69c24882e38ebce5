"""The front door over a local socket: what travels, who serves it, who uses it."""
