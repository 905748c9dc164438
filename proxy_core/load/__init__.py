"""Load on an MCP endpoint of one's own: what is asked, the connections that carry it, and what came of it."""
