"""Graded samples and costs, read and checked."""
