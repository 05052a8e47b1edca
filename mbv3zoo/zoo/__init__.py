"""Names -> configs and weights: packaged, registered, saved in a folder, on the Hub, or timm's."""
