"""Word and logic puzzles as their prompts print them."""
