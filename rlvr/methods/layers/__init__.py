"""Layers of methods that PEFT does not have."""
