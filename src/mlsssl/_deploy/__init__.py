"""The steps of deploying and renewing: the request, the snapshot of the machine, preflight, plan, and applying it."""
