"""`make bench`: annexd beside the floor of the same work, git-annex's assistant and Syncthing, in one run."""
