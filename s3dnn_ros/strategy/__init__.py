"""Which variant and priority every task gets: workloads, strategies and the search for them."""
