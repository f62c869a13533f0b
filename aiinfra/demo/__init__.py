"""History for demonstrations: believable, marked as demo, in any amount."""
