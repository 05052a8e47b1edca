"""Detectors in exported files: what is known of them, and how they predict. Without torch and timm."""
