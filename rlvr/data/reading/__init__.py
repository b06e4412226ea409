"""Read the problems of a catalogue entry: generated, from a file or folder, or from the hub."""

from rlvr.data.reading.entry import Reading, read_entry

__all__ = ["Reading", "read_entry"]
