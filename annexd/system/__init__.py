"""What we ask of the operating system, one library or facility per module."""
