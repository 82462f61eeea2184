"""The daemon: one module per thread, wired by daemon.py."""
