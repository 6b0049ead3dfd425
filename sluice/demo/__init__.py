"""`sluice demo`: everything once, on a broker of its own, with the commands that a user would type."""
