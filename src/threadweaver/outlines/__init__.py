"""Outlines: what each thread of a block will do, announced before any of them begins."""
