"""Who trains a sweep's packs: a file an engine; none imports its engine before it is asked for."""
