"""What MCP says, both eras. Pure: bytes and values in, values out."""
