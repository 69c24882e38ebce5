"""What a host keeps for itself: who it is, which LUNs it knows, its logs, saved configurations."""
