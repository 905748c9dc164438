"""The configuration file: models, loading, importing, editing."""
