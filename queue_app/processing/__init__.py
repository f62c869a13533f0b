"""Run a claimed request: workers, the provider call, retries and outcomes."""
