"""The doors for existing clients: OpenAI's and Anthropic's APIs under `/v1`."""
