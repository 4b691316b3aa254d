"""PromQL: plans and functions over the head."""
