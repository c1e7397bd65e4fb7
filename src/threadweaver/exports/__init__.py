"""Exports: a saved dataset in the form that a trainer reads, as trees of contexts, or in another dialect."""
