"""The samples of a study: which ones the page embeds, and all of them in the terminal (`rlvr show`)."""
