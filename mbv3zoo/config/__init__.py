"""Every setting and its bounds, typed and immutable; each default is written here once."""
