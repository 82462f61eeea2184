"""git plumbing that knows nothing of annexes."""
