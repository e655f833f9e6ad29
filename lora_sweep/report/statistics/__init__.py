"""What the runs of a sweep can and can't say: arrays in, numbers out; no files, no figures."""
