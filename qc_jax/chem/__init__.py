"""Element facts and units."""
