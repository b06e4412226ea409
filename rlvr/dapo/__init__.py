"""The trainer: the DAPO loop, dynamic sampling, updates, losses, checkpoints."""
