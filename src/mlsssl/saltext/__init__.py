"""Salt: execution module and states `mlsssl`, the signing side `mlsssl_ca`, runners. Loaded by Salt's loader only.

The entry point `salt.loader` names this package, and Salt looks into `modules/`, `states/` and `runners/` beside this
file. Nothing else imports it, and it imports nothing of Salt before a function of it is called by Salt.
"""
