"""The rows of the tables of a study."""
