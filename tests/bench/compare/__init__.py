"""Side by side: the sharing processor, what the client library alone can do, and what people would use instead."""
