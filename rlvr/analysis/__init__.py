"""Statistics on graded samples: estimates, paired comparisons, and tables of both."""
