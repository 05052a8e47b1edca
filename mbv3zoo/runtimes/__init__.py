"""Open and run exported files: one module per runtime, one interface."""
