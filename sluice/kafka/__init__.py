"""Kafka through confluent-kafka: the only place that speaks to the library, and translates its errors and options."""
