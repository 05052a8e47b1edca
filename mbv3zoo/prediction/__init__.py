"""From sources to detections: images, folders, videos."""
