"""Base models: from the hub, a local folder or a GGUF file, or built in."""
