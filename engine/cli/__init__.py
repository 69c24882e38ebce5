"""The command line: small programs, each a client of the running engine."""
