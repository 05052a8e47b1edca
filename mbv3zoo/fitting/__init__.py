"""Detectors that are fitted to a time on this machine: what a layer costs, what a channel is worth, what goes."""
