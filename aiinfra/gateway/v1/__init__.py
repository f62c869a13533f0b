"""Endpoints for existing clients: OpenAI's and Anthropic's API formats under `/v1`."""
