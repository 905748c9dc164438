"""What to do with a request, between the eras and the backends."""
