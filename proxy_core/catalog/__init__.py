"""Which names clients see and where each leads. Pure: no IO, no time, nothing remembered."""
