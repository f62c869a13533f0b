"""A provider to run here: speaks the dialects of OpenAI and Anthropic, fails on request, and keeps a book."""
