"""Queue statistics and charts; none reads the rows of finished requests."""
