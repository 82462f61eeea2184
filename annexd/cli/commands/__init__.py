"""One module per command; registered in cli/registry.py."""
