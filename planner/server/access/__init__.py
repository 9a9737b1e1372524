"""Who may ask, how much, and how many at a time; one HTTP request from its arrival to its end."""
