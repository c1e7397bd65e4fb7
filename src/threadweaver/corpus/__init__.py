"""Data at both ends: rows of any source dataset as samples, and training rows and units."""
