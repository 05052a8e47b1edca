"""What a detector or a backbone is made of, costs and takes."""
