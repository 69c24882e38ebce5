"""What a look at the LUNs of this host finds, and how the configuration follows."""
