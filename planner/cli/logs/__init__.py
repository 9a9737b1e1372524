"""Commands that make search logs, and those that read them."""
