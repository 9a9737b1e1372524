"""Rewards score steps: the protocol, families, judges, a scripted fake."""
