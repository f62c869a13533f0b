"""A local provider: speaks the dialects of OpenAI and Anthropic, fails on request, and records what it bills."""
