"""Measured claims; each prints the ratio it is about."""
