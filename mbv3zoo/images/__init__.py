"""One image in: found, read, letterboxed, drawn on."""
