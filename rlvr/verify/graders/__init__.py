"""The project's grader and the foreign ones, to compare on the same samples."""
