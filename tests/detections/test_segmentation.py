"""What a segmenter found."""
