"""Gold: queries over published tables, recomputed where their inputs changed."""
