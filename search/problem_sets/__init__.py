"""Problem sets by others: where records come from, and how a record becomes a problem."""
