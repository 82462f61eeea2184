"""Bytes to frozen values and back, for all that is on disk or on the wire; no I/O."""
