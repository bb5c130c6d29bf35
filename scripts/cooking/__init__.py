"""Recipes that are run as the manual has them: see scripts/recipes."""
