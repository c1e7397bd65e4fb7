"""Trajectories: the markup grammar, step annotations, measures, and the edits that can be undone."""
