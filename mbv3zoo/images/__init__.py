"""Images: found, read, letterboxed, drawn on."""
