"""The distillation losses, written from their formulas; `../losses_golden.py` runs them."""
