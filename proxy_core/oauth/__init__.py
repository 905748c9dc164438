"""The gateway as an OAuth client of its servers, and how documents of strangers are fetched."""
