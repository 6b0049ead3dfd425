"""What reads inputs from Kafka and maintains the partners' topics."""
