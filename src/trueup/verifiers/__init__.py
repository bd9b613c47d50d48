"""The verifiers room."""
