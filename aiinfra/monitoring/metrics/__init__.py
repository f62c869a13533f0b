"""`/metrics`: what processes have recorded, and the present state of queue, workers, budgets, and breakers."""
