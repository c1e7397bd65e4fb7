"""What each stage does with one sample, shared by the commands and the plan."""
