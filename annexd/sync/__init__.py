"""Git history between here and remotes: fetch, merge, push."""
