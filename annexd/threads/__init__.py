"""Concurrency parts, one idea per module."""
