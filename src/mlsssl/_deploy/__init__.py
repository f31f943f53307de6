"""The steps of deploying and renewing: what is asked, what is found, what is planned, and doing it."""
