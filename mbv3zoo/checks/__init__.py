"""What is wrong with a dataset, found before hours are spent on it."""
