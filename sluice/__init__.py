"""Sluice's core: the words everything speaks, the pure decisions, and one module for each library."""
