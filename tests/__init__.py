"""A package, so that it is found before the `tests` that one of our dependencies installs."""
