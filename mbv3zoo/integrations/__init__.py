"""The faces that other libraries know: a detector as one of transformers' models."""
