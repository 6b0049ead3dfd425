"""The metrics themselves, by the process that has them."""

from __future__ import annotations

from sluice.metrics.declaration import Declared, Kind, Unit

BUILD = Declared(
    Kind.GAUGE,
    "sluice_build_info",
    "1, of the release that runs, and whether it is compiled.",
    Unit.FLAG,
    ("version", "form"),
)

EVENTS = Declared(
    Kind.COUNTER,
    "sluice_events_total",
    "Input records processed and committed.",
    Unit.RECORDS,
    ("topic",),
)
OUTCOMES = Declared(
    Kind.COUNTER,
    "sluice_outcomes_total",
    "Outcomes of one customer at one partner, committed.",
    Unit.CUSTOMERS,
    ("partner", "outcome", "reason"),
)
REJECTED = Declared(
    Kind.COUNTER,
    "sluice_rejected_total",
    "Input records that could not be used, committed.",
    Unit.RECORDS,
    ("topic", "cause"),
)
UPDATE_TO_COMMIT = Declared(
    Kind.HISTOGRAM,
    "sluice_update_to_commit_seconds",
    "From the timestamp of a customer update to the commit of what it changed.",
    Unit.SECONDS,
)
WITHDRAWAL_TO_RECALL = Declared(
    Kind.HISTOGRAM,
    "sluice_withdrawal_to_recall_seconds",
    "From the timestamp of a consent event to the commit of the recall that it caused.",
    Unit.SECONDS,
)
PARTITIONS = Declared(
    Kind.GAUGE,
    "sluice_partitions",
    "Partitions of the inputs: each has to be with some process, which then tells its lag.",
    Unit.COUNT,
)
LAG = Declared(
    Kind.GAUGE,
    "sluice_lag_records",
    "Customer updates and consent events between the position and the end.",
    Unit.RECORDS,
    ("partition", "topic"),
)
LAG_SECONDS = Declared(
    Kind.GAUGE,
    "sluice_lag_seconds",
    "For how long updates or consents of this partition have waited for their transaction; 0 when none waits.",
    Unit.SECONDS,
    ("partition",),
)
WIDENING_STOPPED = Declared(
    Kind.GAUGE,
    "sluice_widening_stopped",
    "1 while nothing is added on this partition, for the reason named; recalls go on.",
    Unit.FLAG,
    ("partition", "reason"),
)
CATCHING_UP = Declared(
    Kind.GAUGE,
    "sluice_catching_up",
    "1 while customers of this partition are still to be reconciled: after a gap, rebuild or other contracts.",
    Unit.FLAG,
    ("partition",),
)
TO_RECONCILE = Declared(
    Kind.GAUGE,
    "sluice_customers_to_reconcile",
    "Customers of this partition that are still to be reconciled, about.",
    Unit.CUSTOMERS,
    ("partition",),
)
RECONCILED = Declared(
    Kind.COUNTER,
    "sluice_customers_reconciled_total",
    "Customers reconciled although no input named them: for the time, after a wait, to catch up.",
    Unit.CUSTOMERS,
)
TO_FOLD = Declared(
    Kind.GAUGE,
    "sluice_records_to_fold",
    "Records that the store of this partition still lacks before it is served.",
    Unit.RECORDS,
    ("partition",),
)
CUSTOMERS = Declared(
    Kind.GAUGE,
    "sluice_store_customers",
    "Customers that the store of this partition knows, about.",
    Unit.CUSTOMERS,
    ("partition",),
)
DUE = Declared(
    Kind.GAUGE,
    "sluice_customers_due_later",
    "Customers of this partition for whom something ends or begins at a later time, about.",
    Unit.CUSTOMERS,
    ("partition",),
)
STORE_BYTES = Declared(
    Kind.GAUGE,
    "sluice_store_bytes",
    "What the store of this partition takes, on the disk and waiting for it.",
    Unit.BYTES,
    ("partition",),
)
STORE_MEMORY = Declared(
    Kind.GAUGE,
    "sluice_store_memory_bytes",
    "Memory that all stores of the process use together: sharing.store_memory_mb at the most.",
    Unit.BYTES,
)
PAUSED = Declared(
    Kind.GAUGE,
    "sluice_updates_paused",
    "1 while the updates of this partition are held, because too many of them were rejected.",
    Unit.FLAG,
    ("partition",),
)
PAUSED_FOR = Declared(
    Kind.GAUGE,
    "sluice_updates_paused_rejects",
    "Updates that could not be used when the held ones of this partition were last tried.",
    Unit.RECORDS,
    ("partition", "cause"),
)
FENCED = Declared(
    Kind.COUNTER,
    "sluice_fenced_total",
    "Transactions of dead instances that were ended.",
    Unit.TRANSACTIONS,
)
UNAVAILABLE = Declared(
    Kind.GAUGE,
    "sluice_unavailable",
    "1 while sharing waits for what it `needs`, the broker or the registry; nothing moves, nothing is lost.",
    Unit.FLAG,
    ("needs",),
)
BATCHES = Declared(Kind.COUNTER, "sluice_batches_total", "Transactions committed.", Unit.TRANSACTIONS)
ABORTS = Declared(
    Kind.COUNTER,
    "sluice_aborts_total",
    "Transactions aborted and tried again.",
    Unit.TRANSACTIONS,
)
TRANSACTION = Declared(
    Kind.HISTOGRAM,
    "sluice_transaction_seconds",
    "From the first record of a transaction until it is committed or given up.",
    Unit.SECONDS,
)
ASSIGNMENTS = Declared(
    Kind.COUNTER,
    "sluice_assignments_total",
    "Times that the group has given this process other partitions.",
    Unit.TIMES,
)
CONTRACT_SET = Declared(
    Kind.GAUGE,
    "sluice_contract_set_info",
    "1, of the contract set by which this process decides.",
    Unit.FLAG,
    ("contract_set",),
)
BARRIER = Declared(
    Kind.HISTOGRAM,
    "sluice_barrier_seconds",
    "From asking for the consents' end until everything below it was read.",
    Unit.SECONDS,
)

RETURNS = Declared(
    Kind.COUNTER,
    "sluice_returns_total",
    "Returns of partners decided and recorded, by type (empty: unreadable), outcome and cause of a refusal.",
    Unit.RECORDS,
    ("partner", "type", "outcome", "cause"),
)
RECALLS = Declared(
    Kind.GAUGE,
    "sluice_recalls",
    "Recalls that were ever sent, by what has become of them: acknowledged or open; due_soon and overdue are open too.",
    Unit.RECALLS,
    ("partner", "state"),
)
RECALLS_DUE = Declared(
    Kind.COUNTER,
    "sluice_recalls_due_total",
    "Recalls that the partner acknowledged in_time, or late: not by their deadline.",
    Unit.RECALLS,
    ("partner", "outcome"),
)
PARTNER_PAUSED = Declared(
    Kind.GAUGE,
    "sluice_partner_paused",
    "1 while the partner gets nothing new, because a recall is overdue and its contract says so.",
    Unit.FLAG,
    ("partner",),
)
PARTNER_LAG = Declared(
    Kind.GAUGE,
    "sluice_partner_lag_records",
    "Records for the partner that its farthest consumer group has still to read, about.",
    Unit.RECORDS,
    ("partner",),
)
PARTNER_STALLED = Declared(
    Kind.GAUGE,
    "sluice_partner_stalled_seconds",
    "For how long no consumer group of the partner has read on although records wait, of its `customers` or of "
    "`control`, where its recalls are; 0 when none waits.",
    Unit.SECONDS,
    ("partner", "topic"),
)
RETURNS_UNAVAILABLE = Declared(
    Kind.GAUGE,
    "sluice_returns_unavailable",
    "1 while the returns processor waits for what it `needs`, the broker or the registry.",
    Unit.FLAG,
    ("needs",),
)

PROVIDER_REQUESTS = Declared(
    Kind.COUNTER,
    "sluice_provider_requests_total",
    "Requests to service providers, committed.",
    Unit.RECORDS,
    ("partner",),
)
PROVIDER_REPLIES = Declared(
    Kind.COUNTER,
    "sluice_provider_replies_total",
    "Replies of service providers decided and recorded, by outcome and cause of a refusal.",
    Unit.RECORDS,
    ("partner", "outcome", "cause"),
)
TAKEN_BACK = Declared(
    Kind.COUNTER,
    "sluice_enrichments_taken_back_total",
    "Customers whose appended values were taken back, because the provider may not hold them any more.",
    Unit.CUSTOMERS,
)
PROVIDERS_UNAVAILABLE = Declared(
    Kind.GAUGE,
    "sluice_providers_unavailable",
    "1 while the providers' processor waits for what it `needs`, the broker or the registry.",
    Unit.FLAG,
    ("needs",),
)

SHARING = (
    EVENTS, OUTCOMES, REJECTED, UPDATE_TO_COMMIT, WITHDRAWAL_TO_RECALL, BARRIER, TRANSACTION, PARTITIONS, LAG,
    LAG_SECONDS, WIDENING_STOPPED, CATCHING_UP, TO_RECONCILE, RECONCILED, TO_FOLD, CUSTOMERS, DUE, STORE_BYTES,
    STORE_MEMORY, PAUSED, PAUSED_FOR, FENCED, UNAVAILABLE, BATCHES, ABORTS, ASSIGNMENTS, CONTRACT_SET,
)  # fmt: skip
"""Of `sluice run sharing`."""
ON_RETURNS = (RETURNS, RECALLS, RECALLS_DUE, PARTNER_PAUSED, PARTNER_LAG, PARTNER_STALLED, RETURNS_UNAVAILABLE)
"""Of `sluice run returns`."""
ON_PROVIDERS = (PROVIDER_REQUESTS, PROVIDER_REPLIES, TAKEN_BACK, PROVIDERS_UNAVAILABLE)
"""Of `sluice run providers`."""
WAITING = (UNAVAILABLE, RETURNS_UNAVAILABLE, PROVIDERS_UNAVAILABLE)
"""Of each, whether it waits for the broker or the registry."""
OF_EACH = (BUILD,)
EVERYTHING = (*OF_EACH, *SHARING, *ON_RETURNS, *ON_PROVIDERS)
