"""Who may have what: rules of profiles, claims and grants, signatures, and which addresses may be asked."""
