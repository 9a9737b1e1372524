"""Who may ask, how much, and how many at a time: all that happens before a request is worked on."""
