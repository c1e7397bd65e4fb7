"""ThreadWeaver's data generation: sequential chains of thought become multi-threaded training trajectories."""
