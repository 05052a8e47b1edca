"""Model cards: rendered from what is known, and merged with what people wrote."""
