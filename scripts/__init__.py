"""What is run by hand or by CI; no part of the package."""
