"""Content between here and remotes: queue, controller, slots."""
