"""Neural encoders: tensors in, tensors out."""
