"""The clients' side of the wire."""
