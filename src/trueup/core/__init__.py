"""The ground floor: types, asks, roles, cost, ledger, errors."""
