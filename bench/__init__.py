"""Load generators and side-by-side benchmarks, all in the form of bench/form.py."""
