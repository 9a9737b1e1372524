"""Makes the shipped policies and PRMs from nothing: labels, the training loop, cards."""
