"""One local annex repository; knows no remotes."""
