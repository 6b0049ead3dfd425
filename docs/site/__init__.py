"""The site of the documents: `make site`."""
