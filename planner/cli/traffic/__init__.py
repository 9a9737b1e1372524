"""Commands about what a server has decided."""
