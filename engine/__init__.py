"""The storage engine: disk groups, subdisks, plexes and volumes over real LUNs. No Qt anywhere."""
