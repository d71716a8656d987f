"""Import and delete jobs."""
