"""A real Kafka broker and schema registry on this machine, with nothing but Python packages: ``sluice local``."""
