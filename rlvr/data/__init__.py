"""Problems and prompts: reading, checks, contamination, chat templates, the built-in arithmetic task."""
