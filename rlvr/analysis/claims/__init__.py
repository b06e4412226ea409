"""The statements of the paper, answered by the comparisons of a study."""
