"""The servers' side of the wire."""
