"""Configuration: what a user writes, checked and resolved."""
