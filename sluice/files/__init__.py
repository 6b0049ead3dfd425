"""Rows of CSV and JSON Lines files as records of a schema."""
