"""Faults put into the product or its log on purpose: a simulation that lets one of them pass is not worth much.

Each is a small patch that takes one rule of LOOP away. `catching.catch` runs seeds until one notices.
"""

from tests.simulation import bugs_of_batches, bugs_of_customers
from tests.simulation.bug import BUGS, Bug

__all__ = ["BUGS", "Bug", "bugs_of_batches", "bugs_of_customers"]
