"""Keeps what stands on volumes still for the instant of a snapshot: file systems, guests, programs of the site."""
