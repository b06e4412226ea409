"""Engines that sample completions: one protocol, one module per engine, one factory."""
