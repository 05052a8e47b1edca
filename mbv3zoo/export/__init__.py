"""Write detectors as files for other runtimes, with a certificate of how far they agree with PyTorch."""
