"""What the privacy officer asks: the same decisions, shown instead of carried out."""
