"""Numbers, logs and the frozen picture that the screens read."""
