"""`sluice doctor`: a whole installation looked over, and what to do about each thing that is not well."""
