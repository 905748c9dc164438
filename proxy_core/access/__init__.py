"""Who may have what: claims and grants, signatures, and which addresses may be asked for them."""
