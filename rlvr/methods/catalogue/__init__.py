"""One file per method; a new file is found automatically."""
