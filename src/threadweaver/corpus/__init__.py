"""Datasets at both ends: source rows as samples, and training rows and units."""
