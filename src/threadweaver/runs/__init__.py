"""A run of a stage over samples: folder, account, flags, progress, exit code."""
