"""YOLOv5's YAML files: parsed to a DetectorConfig; nothing in them is run."""
