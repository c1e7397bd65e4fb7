"""Trajectories: the markup grammar, step annotations, measures, and edits that can be undone."""
