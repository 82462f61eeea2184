"""One module per log grammar of the git-annex branch."""
