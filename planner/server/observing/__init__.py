"""What a running server tells: metrics, rolling figures, traces."""
