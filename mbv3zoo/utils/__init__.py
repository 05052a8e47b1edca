"""Helpers that know nothing of detection: files, YAML, text, progress bars, tensors."""
