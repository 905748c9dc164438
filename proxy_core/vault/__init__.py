"""Secrets that outlive a run: in the keyring of the system, or sealed in a file where there is none."""
