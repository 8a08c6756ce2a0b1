"""Cases of the measures of kd-metrics, a module a subject; `../metrics_golden.py` writes them."""
