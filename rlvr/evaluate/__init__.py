"""Evaluation in two steps: generation takes device hours, grading takes seconds."""
