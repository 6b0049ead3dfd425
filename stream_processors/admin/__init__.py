"""What a processor says over HTTP: its metrics, whether it is well, and a page for operators."""
