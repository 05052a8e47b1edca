"""From raw logits to the detections of each image: decoding, thresholds, NMS; of torch tensors or of NumPy arrays."""
