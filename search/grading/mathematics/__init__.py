"""Answers of school and competition mathematics, read and compared by what they mean."""
