"""Twenty training steps of every method; `../trajectory_methods.py` runs them."""
