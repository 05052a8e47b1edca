"""YOLOv5 checkpoints -> detector folders, without running anything that a checkpoint holds."""
