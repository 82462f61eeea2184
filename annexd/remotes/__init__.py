"""One remote at a time: the contract, and one module per remote type."""
