"""The models of a models file: its entries, their faults, a loader, and a check of their servers."""
