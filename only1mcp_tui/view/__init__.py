"""From snapshots to what a person reads: rows, series, labels. Pure: knows no Textual, no loop and no clock.

Everything that came from a backend or a client passes through `text.safe` here and nowhere else.
"""
