"""Requests that the policy's own server answers unchanged."""
