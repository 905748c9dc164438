"""Who did what: a line for each call and each act of an operator, chained by hash, in files that only grow."""
