"""The terminal: the `only1mcp` command and its screens."""
