"""Sluice's Avro records; README.md says how they may change, catalogue.py hands out their text."""
