"""Engines that sample completions, and the weight sync that updates them."""
