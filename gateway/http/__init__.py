"""The HTTP face: one blueprint per role, no logic."""
