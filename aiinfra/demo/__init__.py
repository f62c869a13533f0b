"""Demo history: realistic, marked as demo, in any amount."""
