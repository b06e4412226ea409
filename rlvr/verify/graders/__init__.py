"""The graders of others, for comparison on the same samples."""
