"""The baselines, one a file, and what several of them share. ``shipped`` holds their classes."""
