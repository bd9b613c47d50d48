"""Training: losses, trainers of real models, and the laboratory of tiny models trained from scratch."""
