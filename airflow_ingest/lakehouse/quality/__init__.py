"""Rules: compiled into conditions on a row and into measures of a batch, all answered by one pass."""
