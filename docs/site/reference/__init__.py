"""Pages made of the code, each of which says what the code says."""
