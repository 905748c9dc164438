"""The bundled demo servers, real stdio children."""
