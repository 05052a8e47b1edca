"""Detectors into files for other runtimes, with a certificate of what they lose."""
