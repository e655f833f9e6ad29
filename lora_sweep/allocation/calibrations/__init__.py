"""What is measured on batches before a training, to allocate ranks by: a file a measure."""
