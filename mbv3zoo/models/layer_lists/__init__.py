"""What YOLOv5's layer lists need: their blocks, and graphs built from rows."""
