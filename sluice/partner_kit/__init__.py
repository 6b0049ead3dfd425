"""What a partner is handed to begin with: documents, schemas, an example, settings and a consumer that runs."""
