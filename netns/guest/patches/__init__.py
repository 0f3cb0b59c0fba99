"""Changes to the source of a guest kernel. A kernel in the cache is identified by the bytes of these files."""
