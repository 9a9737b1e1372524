"""What the commands know of clusters. Ray is imported when it is asked for and not before."""
