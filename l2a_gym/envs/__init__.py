"""The environments, and what they are put together from."""
