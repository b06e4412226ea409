"""From a study to its jobs: resolve it, check it, and show it."""
