"""A service provider for trials and demos: reads what it holds and what it is asked, and answers by simple rules."""
