"""The update of every adapted layer against the singular vectors of its base (`docs/spectra.md`)."""
