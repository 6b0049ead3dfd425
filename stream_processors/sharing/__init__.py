"""The enforcing path: customer updates and consents in, partner topics out, exactly once."""
