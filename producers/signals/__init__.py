"""Privacy signals in: what browsers and consent tools say about a customer, as consent events.

Text or JSON in, statements out. What cannot be read is a question without answer, never a grant and never silence.
"""
