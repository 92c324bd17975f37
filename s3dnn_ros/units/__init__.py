"""One batch on several engines and devices at once."""
