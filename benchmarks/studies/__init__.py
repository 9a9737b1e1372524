"""What only studies measure: safety, transfer, parity, live runs, the targets."""
