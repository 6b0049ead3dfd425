"""What writes to Kafka for the CRMs."""
