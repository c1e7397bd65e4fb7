"""What each stage does with one sample; used by the commands and by the plan alike."""
