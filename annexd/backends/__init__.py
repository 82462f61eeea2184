"""From file content to keys, and back to the question whether content matches its key."""
