"""The functions of PromQL, over dense arrays."""
