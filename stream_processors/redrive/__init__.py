"""What operators do about inputs that could not be used: look at the pointers, and have them decided again."""
