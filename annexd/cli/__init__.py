"""Command line: argument parsing, reporters, one module per command."""
