"""The same events as text, as JSON lines, or as nothing."""
