"""The decision log: a row per decision, its database, its export."""
