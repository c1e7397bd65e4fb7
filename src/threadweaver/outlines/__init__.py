"""Outlines: what each thread of a block sets out to do, announced before any of them begins."""
