"""`sluice plan` and `sluice apply`: what contracts ask of broker and registry, shown and done."""
