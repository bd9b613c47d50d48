"""What rates a text without the reference: reward models."""
