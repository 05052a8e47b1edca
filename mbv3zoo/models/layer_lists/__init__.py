"""YOLOv5 layer lists as modules: the table of blocks, and networks built from rows."""
